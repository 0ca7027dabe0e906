# make demo   a phantom brain goes through the whole of SegSRGAN; pictures and files land in demo-output/
# make test   ruff, the layers, the types and the tests that take less than 5 seconds each
# make test-all   the same with all the tests
# make docs   the documentation as a site, in build/site
# Each makes .venv, installs what it needs and runs; a second call reuses what is there.
# Another interpreter:  make demo PYTHON=python3.12

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: demo test test-all lint docs pins clean
.NOTPARALLEL:
.DEFAULT_GOAL := demo

demo: $(VENV)/demo.stamp
	$(BIN)/segsrgan demo -o demo-output

PYTEST = $(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder --cov

test: lint
	$(PYTEST) -m "not slow"

test-all: lint
	$(PYTEST)

lint: $(VENV)/test.stamp
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports
	$(BIN)/ty check --python $(VENV)

# The site of docs/, in build/site; a warning, such as a link that leads nowhere, is an error.
docs: $(VENV)/docs.stamp
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

# The stamps are made last, so that an interrupted installation is taken up again.
$(VENV)/venv.stamp:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and \
	    "SegSRGAN needs Python 3.10 or newer, and $(PYTHON) is older: try  make PYTHON=python3.12")'
	$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(VENV)/%.stamp: requirements/%.txt pyproject.toml $(VENV)/venv.stamp
	$(PIP) install -r $<
	$(PIP) install --no-deps -e .
	@touch $@

# Renews the pinned versions from the ranges in pyproject.toml (needs `pip install uv`). What is pinned now is kept where
# it still fits: delete a line to take that package's newest version. The CUDA packages are left to torch, which pins
# its own, so that a CPU build of torch does not bring them.
PIN = uv pip compile pyproject.toml --universal --python-version 3.10 --no-annotate --custom-compile-command "make pins"
pins:
	$(PIN) -o requirements/demo.txt
	$(PIN) --extra all --extra test --extra slicer-test -c requirements/demo.txt -o requirements/test.txt
	$(PIN) --extra docs -c requirements/demo.txt -o requirements/docs.txt
	sed -i.old -E '/^(nvidia-|cuda-|triton)/d' requirements/demo.txt requirements/test.txt requirements/docs.txt
	rm requirements/*.old

clean:
	rm -rf $(VENV) build dist demo-output .pytest_cache .ruff_cache .hypothesis
	find SegSRGANLib SegSRGAN Testing benchmarks -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true
