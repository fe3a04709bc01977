# The short way in: sets up .venv by itself, then prints and runs the `python -m` line that a target stands for.
#
# Written for GNU make 3.81 (macOS) to 4.x and any POSIX shell. Every path is relative: the checkout may lie in a folder
# with spaces. Variables come from the command line and, as is make's habit, from the environment: the printed line
# shows each one that is in force. They become options and are not handed on as environment variables.

SHELL := /bin/sh
MAKEFLAGS += --no-print-directory
.NOTPARALLEL:
.PHONY: help submit train tune dashboard leaderboard verify predict folds inspect new data upload ledger notebook bench bench-table perf test test-all lint env results report lock clean clean-runs .venv .python

COMP ?= specimens
PY := .venv/bin/python

variables := COMP DATA DATA_ROOT ALLOW_MISSING BACKBONES PRESET FOLDS GROUP SEED SEEDS REPEATS JOBS ENGINE WEIGHTS OFFLINE PRECISION CUT CACHE_GB BANK_GB PHYLUM BAGS WITH LEXICON OUT YES FILE MESSAGE DRY_RUN AGAIN LEDGER ARGS
variables += RUN OWNER IMAGES TOP TRIALS MINUTES STORAGE PRUNER TUNED
variables += TRACKS README
unexport $(variables)
known := $(variables) REAL_DATA PYTHON
export NO_ALBUMENTATIONS_UPDATE := 1

given := $(foreach name,$(.VARIABLES),$(if $(filter command,$(firstword $(origin $(name)))),$(name)))

# A mistyped variable would start the wrong training without a word.
ifeq ($(MAKELEVEL),0)
unknown := $(filter-out $(known) SHELL MAKE%,$(given))
nothing := $(if $(unknown),$(error $(unknown): no such variable, known are $(known); plain `make` explains them))
endif

help:  ## show this page
	@echo "Foldboard: photos in, checked CSV out. Start with: make submit"
	@awk '/^[a-z-]+:.*## / { name = $$0; sub(/:.*/, "", name); sub(/.*## /, ""); printf "  make %-12s%s\n", name, $$0 } \
	  /^#: / { print ($$0 ~ /:$$/ ? "" : "  ") substr($$0, 4) }' Makefile

submit: .venv  ## the whole job: data, folds, training, ensemble, checked CSV (its path is the last line)
	$(call run,$(PY) -m submissions submit $(data_options) $(training_options) $(call option,OUT,out))

train: .venv  ## train what is missing of the same plan, and show the scores
	$(call run,$(PY) -m submissions train $(data_options) $(training_options))

leaderboard: .venv  ## list runs and ensembles by CV, what the top one does not beat marked
	$(call run,$(PY) -m submissions leaderboard $(call option,COMP,competition))

verify: .venv  ## make FILE=file.csv again from the stored predictions of its manifest
	$(call run,$(PY) -m submissions verify $(call quoted,$(value FILE)))

tune: .venv  ## search for better settings over the same folds; the next submit uses what is found
	$(call run,$(PY) -m tuning tune $(data_options) $(tuning_options))

dashboard: .venv  ## open the studies of COMP in optuna-dashboard
	$(call run,$(PY) -m tuning dashboard $(call option,COMP,competition) $(call option,STORAGE,storage))

report: .venv  ## write one HTML file on data, method and results of COMP, from what is stored
	$(call run,$(PY) -m submissions report $(call option,COMP,competition) $(call option,DATA,data) \
	  $(call option,DATA_ROOT,data-root) $(call option,FILE,file) $(call option,LEDGER,ledger) \
	  $(call option,WEIGHTS,weights) $(call option,JOBS,jobs) $(call option,OUT,out))

predict: .venv  ## answer the photos of IMAGES=folder-or-csv with the last ensemble of COMP
	$(call run,$(PY) -m submissions predict $(call option,COMP,competition) $(call option,IMAGES,images) \
	  $(call option,WEIGHTS,weights) $(call option,TOP,top) $(call option,FILE,file) $(call option,JOBS,jobs) $(call option,OUT,out))

folds: .venv  ## assign the folds and show how even they are
	$(call run,$(PY) -m folds assign $(data_options) $(fold_options) $(call option,JOBS,jobs))

inspect: .venv  ## show what the data holds: classes, sizes, unreadable files, twins, a contact sheet
	$(call run,$(PY) -m comp inspect $(data_options) $(call option,JOBS,jobs) $(call option,OUT,out))

new: .venv  ## look at DATA=folder and write a competition file for it
	$(call run,$(PY) -m comp new $(call option,DATA,data) $(call option,OUT,out))

data: .venv  ## download and unpack the data of COMP, from Kaggle or where its file says
	$(call run,$(PY) -m comp data $(call option,COMP,competition) $(call option,DATA_ROOT,data-root))

upload: .venv  ## hand a checked CSV in to Kaggle, at most once, and wait for its score
	$(call run,$(PY) -m submissions upload $(call option,COMP,competition) $(call option,FILE,file) \
	  $(call option,MESSAGE,message) $(call flag,YES,yes) $(call flag,DRY_RUN,dry-run) $(call flag,AGAIN,again) \
	  $(call option,LEDGER,ledger) $(call option,DATA,data) $(call option,DATA_ROOT,data-root))

ledger: .venv  ## show the submissions with fresh scores, plot CV against LB, name two final picks
	$(call run,$(PY) -m submissions ledger $(call option,COMP,competition) $(call option,LEDGER,ledger) \
	  $(call flag,OFFLINE,offline))

notebook: .venv  ## pack the last ensemble for Kaggle: a data set, a notebook that answers photos offline, one that trains
	$(call run,$(PY) -m submissions notebook $(call option,COMP,competition) $(call option,RUN,run) \
	  $(call option,WEIGHTS,weights) $(call option,OWNER,owner) $(call option,OUT,out))

bench: .venv  ## score the benchmark tracks whose data lie below DATA_ROOT, beside published numbers
	$(call run,$(PY) -m submissions bench $(call option,TRACKS,tracks) $(call option,DATA_ROOT,data-root) \
	  $(bench_options) $(call option,README,readme))

bench-table: .venv  ## write the README's table of tracks from FILE=runs/bench/X.csv, or ARGS="a.csv b.csv"
	$(call run,$(PY) -m submissions bench-table $(if $(value FILE),$(call quoted,$(value FILE))))

perf: .venv  ## measure speed and memory, as ratios
	$(call run,$(PY) -m benchmarks $(call option,DATA,data) $(call option,WEIGHTS,weights) $(call option,README,readme))

test: .venv  ## run the tests
	$(call run,$(PY) -m pytest)

test-all: .venv  ## run the tests, the slow ones too, and those of the JAX backend
	@$(call pip_install,$(PY)) -r requirements-jax.txt
	$(call run,$(PY) -m pytest -m '')

lint: .venv  ## check style, format and types
	$(call run,$(PY) -m ruff check .)
	$(call run,$(PY) -m ruff format --check .)
	$(call run,$(PY) -m mypy)

env: .venv  ## set up .venv and do nothing else
	@echo .venv

clean:  ## empty cache/ and show how large it was; always safe
	$(if $(is_ready),$(call run,$(PY) -m comp clean),$(empty_cache))

clean-runs: .venv  ## delete trained runs, after asking; never CSVs or the ledger
	$(call run,$(PY) -m folds clean-runs $(call option,COMP,competition) $(call flag,YES,yes))

results: .venv  ## write the README's results table; FILE=file.csv names one more row, ARGS="a.csv b.csv" several
	$(call run,$(PY) -m submissions results $(if $(value FILE),$(call quoted,$(value FILE))))

lock:  ## compile requirements.txt anew from pyproject.toml (for maintainers)
	@mkdir -p cache && $(call quoted,$(call suitable,$(shell $(find_python)))) -m venv --clear cache/lock && \
	  $(call pip_install,cache/lock/bin/python) uv
	$(call run,cache/lock/bin/python -m uv pip compile $(lock_options) pyproject.toml -o requirements.txt)
	@echo requirements.txt
lock_options = --quiet --universal --python-version 3.11 --extra dev --no-header

#: Variables:
#: COMP=name          competition, or a file: COMP=./mine.py (default specimens)
#: DATA=folder        where its raw files lie; nothing is written there
#: DATA_ROOT=folder   where that folder is looked for by default
#: ALLOW_MISSING=1    go on without photos that are named but absent
#: BACKBONES="a b"    candidates, each name[:variant][:fit][:Npx]
#: PRESET=standard    quick, standard or best
#: FOLDS=5            number of folds
#: GROUP=column       rows of one value never straddle folds
#: SEED=1             seed of training; the folds stay
#: SEEDS=3            every candidate three times, on the same folds
#: REPEATS=2          the whole job over a second fold assignment too, and how far the scores move
#: JOBS=2             how many jobs run at once
#: ENGINE=name        where jobs run: local, inline, or the address of an engine that exists (default local)
#: WEIGHTS=folder     where pre-trained weights lie; WEIGHTS=none trains from scratch
#: OFFLINE=1          never ask a network
#: PRECISION=bf16     fp32 or bf16, instead of what pays on this processor
#: CUT=layer          where tails are cut
#: CACHE_GB=20        bound on stored features; those used longest ago go first
#: BANK_GB=8          bound on the features of one tail
#: PHYLUM=auto        the condition column: auto, no, decode, input or split
#: BAGS=20            greedy selection in so many bags besides
#: WITH="a b"         predictions of other tools, admitted by add-run, in the ensemble too
#: LEXICON=auto       words that transcripts are decoded with: auto (those of other folds), no, or a file, one a line
#: TRACKS="a b"       what bench scores: tracks or competitions (default all whose data are there)
#: README=README.md   bench writes its table between the marks of this file too
#: TRIALS=40          how many trials a study shall have finished, pruned ones too
#: MINUTES=30         stop tuning after this time; the same command goes on
#: STORAGE=url        where studies are kept: postgresql://..., or a journal file (default: beside the runs)
#: PRUNER=median      median or asha
#: TUNED=no           leave out what tuning found
#: IMAGES=folder      photos to predict, or a CSV with a column path
#: TOP=5              predict names so many classes, with probabilities
#: RUN=hash8          notebook: which CSV's ensemble, by its hash or its only run's folder (default: the last one)
#: OWNER=name         notebook: the Kaggle account that its metadata name
#: OUT=file           where the result is written
#: FILE=file.csv      the CSV that results, verify, upload or report is about (the last two: the newest where not given)
#: MESSAGE="..."      upload: shown beside the submission on Kaggle
#: YES=1              clean-runs and upload do not ask
#: DRY_RUN=1          upload does all but send
#: AGAIN=1            upload sends the same file once more
#: LEDGER=file        the record of uploads (default runs/ledger.csv)
#: ARGS="..."         appended as it stands: make test ARGS="-k folds"
#: REAL_DATA=folder   real photos that the tests use (default ../shared/data)
#: PYTHON=python3.12  the Python that .venv is made with (default: the newest of 3.13, 3.12, 3.11)

# $(value ...) takes what was typed, so that a dollar sign or a quote in a path reaches the command unchanged.
quoted = '$(subst ','\'',$(1))'
option = $(if $(value $(1)),--$(2) $(call quoted,$(value $(1))))
flag = $(if $(filter-out 0 no false,$(value $(1))),--$(2))

data_options = $(call option,COMP,competition) $(call option,DATA,data) $(call option,DATA_ROOT,data-root) \
  $(call flag,ALLOW_MISSING,allow-missing)
fold_options = $(call option,FOLDS,folds) $(call option,GROUP,group)
fit_options = $(call option,BACKBONES,backbones) $(call option,PRESET,preset) $(fold_options) \
  $(call option,SEED,seed) $(call option,JOBS,jobs) \
  $(call option,WEIGHTS,weights) $(call flag,OFFLINE,offline) $(call option,PRECISION,precision) $(call option,CUT,cut) \
  $(call option,CACHE_GB,cache-gb) $(call option,BANK_GB,bank-gb)
bench_options = $(call option,PRESET,preset) $(call option,WEIGHTS,weights) $(call option,BACKBONES,backbones) \
  $(call option,FOLDS,folds) $(call option,SEED,seed) $(call option,JOBS,jobs) $(call option,ENGINE,engine) \
  $(call flag,OFFLINE,offline) $(call option,PRECISION,precision)
training_options = $(fit_options) $(call option,SEEDS,seeds) $(call option,REPEATS,repeats) \
  $(call option,ENGINE,engine) $(call option,TUNED,tuned) \
  $(call option,PHYLUM,phylum) $(call option,BAGS,bags) $(call option,WITH,with) $(call option,LEXICON,lexicon)
tuning_options = $(fit_options) $(call option,TRIALS,trials) $(call option,MINUTES,minutes) $(call option,STORAGE,storage) \
  $(call option,PRUNER,pruner)

# Print a command as it can be pasted into a shell, then become it: signals and the last line are the command's own.
define run
@set -- $(1) $(value ARGS); line=; \
for word do \
  case $$word in \
    ''|*[!A-Za-z0-9_./:,=@%+-]*) word=$$(printf %s "$$word" | sed "s/'/'\\\\''/g"); word="'$$word'" ;; \
  esac; \
  line="$$line $$word"; \
done; \
printf '%s\n' "$${line# }"; FOLDBOARD_COMMAND=$(call quoted,$(typed)) exec "$$@"
endef

# What was typed, for manifests: the targets and the variables given, each as a shell reads it back.
typed = $(strip make $(MAKECMDGOALS) $(foreach name,$(given),$(name)=$(call quoted,$(value $(name)))))

define empty_cache
@if [ -d cache ]; then du -sh cache && rm -rf cache; else echo "cache/ is empty"; fi
endef

# The environment. .venv/.installed is a copy of the requirements that it holds, renamed into place after all else: an
# installation that was killed has none, and a checkout that only touches the file's time changes nothing.
print_version = 'import sys; print("%d.%d" % sys.version_info[:2])'
python_given := $(patsubst ~/%,$(HOME)/%,$(value PYTHON))
ifneq ($(filter command,$(firstword $(origin PYTHON))),)
version_given = $(call quoted,$(python_given)) -c $(print_version) 2>/dev/null
is_as_given = && [ "$$($(PY) -c $(print_version))" = "$$($(version_given))" ]
endif
is_current = cmp -s requirements.txt .venv/.installed && $(PY) -c '' 2>/dev/null $(is_as_given)
is_ready = $(shell $(is_current) && echo yes)

.venv:
	@$(if $(is_ready),:,$(call make_venv,$(call suitable,$(shell $(find_python)))))

.python:
	@echo $(call quoted,$(call suitable,$(shell $(find_python))))

# Print the Python to use, or "!" and the one line that says what to install. A name that cannot run (the shim of a
# pyenv version that is not selected) counts as not there; Debian's Python without python3-venv lacks ensurepip.
define find_python
found=; bare=; \
for name in $(if $(python_given),$(call quoted,$(python_given)),python3.13 python3.12 python3.11 python3); do \
  version=$$("$$name" -c $(print_version) 2>/dev/null) || version=; \
  case $$version in \
    '') $(if $(python_given),found="$$name that does not run") ;; \
    3.11|3.12|3.13) \
      if "$$name" -c 'import ensurepip, venv' >/dev/null 2>&1; then echo "$$name"; exit; fi; \
      bare=$${bare:-$$version} ;; \
    *) found="$${found:+$$found, }$$name ($$version)" ;; \
  esac; \
done; \
if [ "$$bare" ]; then \
  echo "!Python $$bare has no venv module: install it (Debian, Ubuntu: sudo apt install python$$bare-venv)," \
    "then run the same command again"; \
else \
  echo "!Python 3.11, 3.12 or 3.13 is needed, found $${found:-none}: install one (Debian, Ubuntu: sudo apt install" \
    "python3.12 python3.12-venv, or 3.11 or 3.13; macOS: brew install python@3.13) or name one with PYTHON=path"; \
fi
endef
suitable = $(if $(filter !%,$(firstword $(1))),$(error $(subst !,,$(1))),$(1))

# The lock lies on this shell's descriptor, so it ends with the shell and its pip, however they end.
take_lock = "$$python" -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX $(1))' 2>/dev/null
pip_install = PIP_USER=0 $(1) -m pip install -q --disable-pip-version-check --no-input
define make_venv
python=$(call quoted,$(1)); exec 9<requirements.txt; \
$(call take_lock,| fcntl.LOCK_NB) || { echo "Waiting for another make to set up .venv" >&2; $(call take_lock,); }; \
if $(is_current); then exit; fi; \
version=$$("$$python" -c $(print_version)); \
echo "Setting up .venv with Python $$version (about 3 minutes the first time)" >&2; \
rm -f .venv/.installed; \
"$$python" -m venv --clear .venv && cp requirements.txt .venv/.wanted || exit; \
if $(call pip_install,$(PY)) -r .venv/.wanted >.venv/pip.log 2>&1; then \
  mv .venv/.wanted .venv/.installed; \
else \
  tail -n 12 .venv/pip.log >&2; \
  echo "Setting up .venv failed: mend what pip says above, then run the same command again" >&2; exit 1; \
fi
endef
