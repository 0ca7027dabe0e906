# SegSRGAN as a BIDS app; docs/container.md says how to build and run it.
#   docker build -t segsrgan .
#   docker build -t segsrgan:cuda --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu128 .
FROM python:3.12-slim-bookworm

# The builds of torch for CPU. Those for CUDA bring its libraries; only the driver is the host's.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu

# Any user may run it, also without a home; Python and matplotlib then write to /tmp only.
ENV HOME=/tmp MPLCONFIGDIR=/tmp MPLBACKEND=Agg PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1

WORKDIR /opt/segsrgan
COPY requirements/demo.txt requirements/
RUN pip install --no-cache-dir --extra-index-url "$TORCH_INDEX" -r requirements/demo.txt
COPY pyproject.toml hatch_build.py README.md LICENSE NOTICE ./
COPY SegSRGANLib SegSRGANLib
COPY Resources/Models Resources/Models
RUN pip install --no-cache-dir --no-deps .

WORKDIR /tmp
ENTRYPOINT ["python", "-m", "SegSRGANLib.cli.bids_app"]
CMD ["--help"]
