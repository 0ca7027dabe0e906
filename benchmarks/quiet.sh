#!/usr/bin/env bash
# All tables of docs/performance.md of the default model, for a quiet machine with two cores: about 15 minutes.
#
#     SEGSRGAN_DATA=/folder/of/gousias2012 benchmarks/quiet.sh [OUTDIR]
#
# Each part writes Markdown to OUTDIR; a part that fails does not stop the others. PYTHON names the interpreter.
set -u
cd "$(dirname "$0")/.."
out=${1:-quiet-benchmarks}
python=${PYTHON:-python}
export PYTHONPATH=$PWD
mkdir -p "$out"

part() { # part SECONDS NAME COMMAND...: at most so many seconds
    local limit=$1 name=$2 began=$SECONDS
    shift 2
    timeout "$limit" "$@" >"$out/$name.md" 2>"$out/$name.log" || echo "$name ended with status $?: see $out/$name.log"
    echo "$name: $((SECONDS - began)) s"
}

uptime
part 330 speed "$python" benchmarks/inference.py speed --repeats 3 --shape 128 192 192 --leave-out \
    "original, patch 128 step 64" "MONAI, patch 128 overlap 0.5"
part 120 precision "$python" benchmarks/inference.py precision --thickness 2.577
part 100 path "$python" benchmarks/predict_cost.py --repeats 1
part 200 path-masked "$python" benchmarks/predict_cost.py --repeats 1 --mask --precisions auto float32
part 30 start "$python" -X importtime -m SegSRGANLib --help
part 90 size "$python" benchmarks/predict_cost.py --repeats 1 --mask --scans 256x256x64 --spacings 1 0.794 0.63 0.5
part 90 one-core env OMP_NUM_THREADS=1 "$python" benchmarks/predict_cost.py --repeats 1 --mask --scans 256x256x64
cat "$out"/speed.md "$out"/precision.md "$out"/path.md "$out"/path-masked.md "$out"/size.md "$out"/one-core.md
