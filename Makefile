# Every target sets up what it needs. The only things that must be there: Python 3.11 or newer, make, the Python package index.
PYTHON ?= python3
ifeq ($(OS),Windows_NT)
BIN := .venv/Scripts
else
BIN := .venv/bin
endif

.PHONY: help setup setup-totalsegmentator dev demo test lint bench prove pictures serve clean

help:
	@echo "make setup   the environment alone; leaves $(BIN)/dicom-workbench"
	@echo "make setup-totalsegmentator   TotalSegmentator in its own environment (1.8 GB, about 2 minutes)"
	@echo "make demo    run the workflows on sample data and write demo-output/index.html"
	@echo "make test    all tests (what is not installed is skipped with a reason)"
	@echo "make lint    ruff and mypy"
	@echo "make bench   measurements against peers, written to docs/benchmarks.md (QUICK=1: short)"
	@echo "make prove   the long proofs: kills, fuzzing"
	@echo "make pictures   photographs of every panel in its states, written to docs/pictures"
	@echo "make serve   the segmentation queue: drop scans into its input folder"

setup:
	@$(PYTHON) setup_environment.py

setup-totalsegmentator: setup
	@$(BIN)/python -m AutoSegmentQueueLib.totalsegmentator_setup

dev:
	@$(PYTHON) setup_environment.py --dev

demo: setup
	@$(BIN)/dicom-workbench demo demo-output

test: dev
	@$(BIN)/python -m pytest -n auto --maxprocesses=4 --no-loadscope-reorder

lint: dev
	@$(BIN)/python -m ruff check .
	@$(BIN)/python -m ruff format --check .
	@$(BIN)/python -m mypy

bench: dev
	@$(BIN)/python Testing/Benchmarks $(if $(QUICK),--quick)

prove: dev
	@$(BIN)/python -m pytest -m prove -n auto --maxprocesses=4 --no-loadscope-reorder

pictures: dev
	@PYTHONPATH=Testing $(BIN)/python -m Pictures $(PANELS)

serve: setup
	@$(BIN)/dicom-workbench queue serve

clean:
	rm -rf .venv build dist demo-output .pytest_cache .mypy_cache .ruff_cache
