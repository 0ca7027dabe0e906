#!/usr/bin/env bash
# All released models on one GPU within ten minutes, from one packed file; needs torch, numpy and safetensors alone.
#
#     segsrgan pack benchmarks/configs/newborns.csv -o volumes.zip --held-out-fold 1     (on a machine with the data)
#     bash benchmarks/gpu_training.sh volumes.zip results                                (on the machine with the GPU)
#
# SECONDS_ALL limits the whole (default 560). STATE names a folder for what a training goes on from, in files of at most
# 15 MiB. DEVICE=cpu TRIAL=20 makes 20 steps of a tiny network, to see that it runs.
set -euo pipefail
pack=$1 out=$2
all=${SECONDS_ALL:-560}
mkdir -p "$out"
here=$(cd "$(dirname "$0")/.." && pwd)
export PYTHONPATH="$here${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1
train=("${PYTHON:-python3}" -m SegSRGANLib.training.timed --pack "$pack" --out "$out" --deadline "$all")
[ -z "${STATE:-}" ] || train+=(--state "$STATE")
if [ -n "${TRIAL:-}" ]; then
    "${train[@]}" trial=600 --steps "$TRIAL" --device "${DEVICE:-cpu}" | tee "$out/training.log"
else
    "${train[@]}" "segsrgan=$((all * 58 / 100))" "segsrgan-paper=$((all * 26 / 100))" "srrecnn=$((all * 13 / 100))" \
        --measure | tee "$out/training.log"
fi
