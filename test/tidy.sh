#!/bin/sh
# The style test: what can be checked by reading the files. One line a rule, "ok rule" or "not ok rule" after the offending lines.
#
# Layers, an arrow means "may include", one way only:
#
#     codec <- search <- format <- engine <- table_am <- planner <- sql_functions    extension.cpp sees all
#     bgworker sees codec, search and format, and reaches tables through SQL
#
# search stands beside codec: of it, it uses the arena, the status, the hash and the cursors, and no codec.
# codec, search, format and the files of bgworker named in $pure_files are pure: no PostgreSQL header. A file that needs a library
# which throws says so in a line of its own, "// tidy: exceptions inside", and catches everything it calls.
set -u
cd "$(dirname "$0")/.." || exit 1

layers='codec search format engine table_am planner sql_functions'
pure_files='bgworker/boost_json.cpp bgworker/decompress.h bgworker/decompress.cpp bgworker/nanoseconds.h bgworker/nanoseconds.cpp'
pure_files="$pure_files $(echo bgworker/payload*.h bgworker/payload*.cpp bgworker/table_shape.h bgworker/table_shape.cpp)"
pure_files="$pure_files $(echo bgworker/mapping*.h bgworker/mapping*.cpp bgworker/json_tree.h bgworker/json_tree.cpp)"
pure_files="$pure_files bgworker/topic.h bgworker/topic.cpp bgworker/mqtt_connection.h bgworker/mqtt_connection.cpp"
header_folders='access|catalog|commands|common|executor|lib|libpq|nodes|optimizer|parser|port|postmaster|replication|storage'
header_folders="$header_folders|tcop|utils"
failed=0

# Tracked files where git knows them, else (a release tarball) all that a build does not leave behind.
files() {
    if [ -n "$(git ls-files -- LICENSE 2>/dev/null)" ]; then
        git ls-files --cached --others --exclude-standard
    else
        find . -type f | sed 's|^\./||' | grep -vE '^(build|results|output_iso|tmp_check|demo/work|\.git)/|\.(o|so|bc)$|^\.git$'
    fi | while read -r file; do if [ -f "$file" ]; then echo "$file"; fi; done | LC_ALL=C sort
}
all_files=$(files)
select_files() {
    echo "$all_files" | grep -E "$1" || true
}
cpp_files=$(select_files '^(src|bgworker)/.*\.(h|cpp)$')
code_files=$(select_files '\.(h|cpp|pl|pm|sh)$|^sql/historian--|^Makefile$|^CMakeLists|^(test|demo|\.ci)/([a-z/]*/)?[a-z-]+$')
text_files=$(echo "$all_files" | grep -vE '\.(bin|zst|png|svg|hex)$|^test/(golden|fuzz/corpus)/|^(test/)?expected/|^LICENSE$')

# rule "name" offending lines
rule() {
    if [ -z "$2" ]; then
        echo "ok $1"
    else
        printf '%s\nnot ok %s\n' "$2" "$1"
        failed=1
    fi
}

# Source without comments and literals, each line as file:line:text.
code_lines() {
    [ -n "$1" ] || return 0
    perl -0777 -ne '
        s{("(?:\\.|[^"\\\n])*"|(?<![0-9a-fA-F])\x27(?:\\.|[^\x27\\\n])+\x27)|//[^\n]*|/\*.*?\*/}
         {my $text = $&; my $lines = ($text =~ tr/\n//); (defined $1 ? q("") : q()) . "\n" x $lines}gse;
        my $number = 0;
        for my $line (split /\n/) { $number++; print "$ARGV:$number:$line\n" if $line =~ /\S/ }
    ' $1
}

may_not_include() {
    # Everything above layer $1, and the worker.
    above=false
    list=bgworker
    for layer in $layers; do
        if $above; then list="$list|$layer"; fi
        if [ "$layer" = "$1" ]; then above=true; fi
    done
    echo "$list"
}

offences=
for layer in $layers; do
    in_layer=$(select_files "^src/$layer/.*\.(h|cpp)$")
    [ -n "$in_layer" ] || continue
    offences="$offences$(grep -nE "#include \"(src/)?($(may_not_include "$layer"))/" /dev/null $in_layer)"
done
worker_files=$(select_files '^bgworker/.*\.(h|cpp)$')
if [ -n "$worker_files" ]; then
    offences="$offences$(grep -nE '#include "(src/)?(engine|table_am|planner|sql_functions)/' /dev/null $worker_files)"
fi
rule 'layers include only what is below them' "$offences"

rule 'search uses no codec' "$(grep -nE '#include "codec/' /dev/null $(select_files '^src/search/') |
    grep -vE '"codec/(arena|status|hash|byte_reader|byte_writer)\.h"')"

pure=$(select_files "^src/(codec|search|format)/.*\.(h|cpp)$")
for file in $pure_files; do if [ -f "$file" ]; then pure="$pure $file"; fi; done
rule 'pure layers include no PostgreSQL header' "$([ -z "$pure" ] || grep -nE \
    "#include [<\"](postgres|fmgr|c\.h|miscadmin|pgstat|funcapi|($header_folders)/)" /dev/null $pure)"

no_exceptions=
for file in $cpp_files; do
    grep -qx '// tidy: exceptions inside' "$file" || no_exceptions="$no_exceptions $file"
done
# Placement new only names the type of memory that is there already.
owners='string|vector|map|set|unordered_map|unique_ptr|shared_ptr|function|mutex|lock_guard'
banned="\\b(throw|try|catch|new|delete)\\b|std::($owners)\\b"
rule 'no exceptions, no destructors: throw, try, new, delete, std::string and the like' \
    "$(code_lines "$no_exceptions" | grep -E "$banned" | grep -vE '#include|= delete;|[^a-z_]new \(')"

only_in() {
    code_lines "$cpp_files" | grep -E "$1" | grep -vE "^($2):"
}
rule 'only engine/wal.cpp writes WAL' "$(only_in '\b(XLogInsert|XLogBeginInsert|log_newpage[a-z_]*) *\(' 'src/engine/wal\.cpp')"
rule 'only bgworker/mqtt_connection includes mosquitto.h' \
    "$(grep -nE '#include [<"]mosquitto' /dev/null $cpp_files | grep -vE '^bgworker/mqtt_connection\.(h|cpp):')"
rule 'every header says #pragma once' "$(for file in $(select_files '\.h$'); do grep -L '^#pragma once' "$file"; done)"
# segment_decode.cpp is described by segment.h, say.
rule 'every header, and every source without one, begins with a comment that says what it is' "$(for file in $cpp_files; do
    described=false
    stem=${file%.*}
    while [ "${file##*.}" = cpp ] && [ "$stem" != "${stem%_*}" ] && ! $described; do
        if [ -f "$stem.h" ]; then described=true; fi
        stem=${stem%_*}
    done
    if [ "${file##*.}" = cpp ] && [ -f "$stem.h" ]; then described=true; fi
    $described || head -n 1 "$file" | grep -q '^//' || echo "$file"
done)"
rule 'no folder bears the name of a folder of PostgreSQL headers' \
    "$(find src -mindepth 1 -type d | grep -E "/($header_folders)\$")"

rule 'no line of code has more than 130 columns' "$(for file in $code_files; do
    perl -CSD -ne 'chomp; print "$ARGV:$.: ", length, " columns\n" if length > 130' "$file"; done)"
rule 'no source has more than 500 lines' "$(for file in $(select_files '\.(h|cpp|pl|pm)$'); do
    awk -v file="$file" 'END { if (NR > 500) print file ": " NR " lines" }' "$file"; done)"
rule 'no README but the format has more than 300 lines' "$(for file in $(select_files 'README\.md$' | grep -v '^src/format/'); do
    awk -v file="$file" 'END { if (NR > 300) print file ": " NR " lines" }' "$file"; done)"
rule 'no tab, no space at the end of a line' \
    "$(grep -nE "$(printf '\t')| +\$" /dev/null $text_files | grep -vE '^([^:]*/)?Makefile:|^sql/[a-z_]*\.sql:')"
# The slashes are classes of their own so that this line does not find itself.
rule 'no path of one machine' "$(grep -nE '(^|[^A-Za-z0-9_.}>*)"$-])[/](work|home|Users)[/]' /dev/null $text_files)"

rule 'every sql/x.sql has its expected/x.out' "$(for file in $(select_files '^sql/[^/]*\.sql$' | grep -v '^sql/historian--'); do
    name=$(basename "$file" .sql)
    if ! ls "expected/$name.out" >/dev/null 2>&1; then echo "$file"; fi
done)"
rule 'every test/specs/x.spec has its test/expected/x.out' "$(for file in $(select_files '^test/specs/.*\.spec$'); do
    [ -f "test/expected/$(basename "$file" .spec).out" ] || echo "$file"
done)"
# codec_id.h: "    delta2 = 3,"; README.md: "`delta2` (3)", or a table's row "| 3 | `delta2` |".
rule 'every codec id is in src/format/README.md' "$([ ! -f src/codec/codec_id.h ] ||
    sed -n '/enum class CodecId/,/^};/s/^ *\([a-z][a-z0-9_]*\) *= *\([0-9][0-9]*\),.*/\1 \2/p' src/codec/codec_id.h |
    grep -v "^reserved " | while read -r name number; do
        grep -qsE "\`$name\` \($number\)|^\| *$number *\| *\`$name\`" src/format/README.md ||
            echo "$name ($number) is not described"
    done)"
rule 'every local link of a page leads somewhere' "$(for file in $(select_files '\.md$'); do
    grep -oE '\]\([^)# ]+' "$file" | cut -c3- | grep -vE '^[a-z]+:' | while read -r link; do
        [ -e "$(dirname "$file")/$link" ] || echo "$file: $link"
    done
done)"
rule 'every page begins with a heading, and every row of its tables ends as it begins' "$(for file in $(select_files '\.md$'); do
    head -n 1 "$file" | grep -q '^# ' || echo "$file:1"
    grep -nE '^\|.*[^|]$' "$file" | sed "s|^|$file:|"
done)"
rule 'every shell script parses' "$(for file in $(echo "$all_files" | grep -E '^(test|demo|\.ci)/'); do
    case $(head -n 1 "$file" 2>/dev/null | tr -d '\0') in '#!/bin/sh') sh -n "$file" 2>&1 ;; esac
done)"
exit $failed
