# Builds, installs and tests the extension as every PostgreSQL packager expects:
#   make && make install && make installcheck        with PG_CONFIG=/path/to/pg_config for another server
# make demo, make test, make soak, make fuzz, make bench, make bench-tsbs: see README.md.

EXTENSION  = historian
MODULE_big = historian
OBJS       = $(patsubst %.cpp,%.o,$(wildcard src/*.cpp src/*/*.cpp bgworker/*.cpp))
DATA       = $(wildcard sql/historian--*.sql)

# sql/x.sql with expected/x.out is a pg_regress test; test/specs/x.spec an isolation test; test/t/*.pl a TAP test.
REGRESS        = $(filter-out historian--%,$(sort $(basename $(notdir $(wildcard sql/*.sql)))))
REGRESS_OPTS   = --load-extension=historian
ISOLATION      = $(sort $(basename $(notdir $(wildcard test/specs/*.spec))))
ISOLATION_OPTS = --inputdir=test --load-extension=historian
TAP_TESTS      = 1
PROVE_TESTS    = test/t/*.pl

# Bitcode is of no use here: nothing of ours is inlined into JIT code, and PGXS compiles it without PG_CXXFLAGS.
override with_llvm = no

# Only what PostgreSQL looks up is exported (its macro is empty before version 16).
PG_CPPFLAGS  = -I$(CURDIR)/src -I$(CURDIR) -DNDEBUG '-DPGDLLEXPORT=__attribute__((visibility("default")))'
PG_CXXFLAGS  = -std=c++20 -fno-exceptions -fno-rtti -fvisibility=hidden -Wall -Wextra -Wno-register -Wno-volatile \
               -Wno-sign-compare -Wno-unused-parameter -Wno-missing-field-initializers
SHLIB_LINK   = -lzstd -lz -lutf8proc -lmosquitto -lssl -lcrypto -lstdc++
PG_CONFIG   ?= pg_config
PGXS        := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

# The codecs are loops over columns, let the compiler vectorise them; search is a loop over bytes.
src/codec/%.o src/search/%.o src/format/%.o src/planner/number_comparisons.o: override CXXFLAGS += -O3

# Boost.JSON throws; nothing leaves these files but an error value.
bgworker/payload_json.o bgworker/json_tree.o bgworker/boost_json.o: override CXXFLAGS += -fexceptions

# PGXS tracks no headers: rebuild everything when one changes.
$(OBJS): $(wildcard src/*.h src/*/*.h bgworker/*.h) Makefile

.PHONY: demo test test-aarch64 soak fuzz bench bench-peers bench-tsbs bench-codec
demo:
	./demo/run
test:
	./test/run
# The pure layers as they are on another architecture, under qemu.
test-aarch64:
	./test/aarch64/run
soak:
	HISTORIAN_MODEL_SECONDS=600 ./test/run model
fuzz:
	./test/fuzz/run
bench:
	./test/bench/run
# What the parts queries and sizes are compared with, besides what the server has; and what the codecs are.
bench-peers:
	./test/install-packages --size-peers
	npm install --prefix test/bench --no-save --no-package-lock --no-audit --no-fund @duckdb/node-api
	python3 -m venv test/bench/venv
	test/bench/venv/bin/pip install --quiet pcodec
bench-tsbs:
	./test/bench/tsbs/run
# Of generated data, and of the sets in CODEC_SETS: CSV files of name, time and value.
bench-codec:
	cmake -S . -B build -DCMAKE_BUILD_TYPE=Release >/dev/null
	cmake --build build -j2 --target codec_bench codec_sets_bench filter_bench
	build/codec_bench
	build/codec_sets_bench $(CODEC_SETS)
	build/filter_bench
