# shellcheck shell=bash
# What this Debian machine knows about its archives. Sourced, never run. SYSROOT is / but in tests.

SYSROOT=${SYSROOT:-}

# on_debian: is this Debian itself? (A derivative's packages are not what was tried.)
on_debian() { [ "$(os_release ID)" = debian ]; }

# os_release KEY: a value of /etc/os-release, empty if it has none.
os_release() { sed -n "s/^$1=\"\{0,1\}\([^\"]*\)\"\{0,1\}\$/\1/p" "$SYSROOT/etc/os-release" 2>/dev/null; }

# archive_of SUITE: the address that apt takes SUITE from, in either of its two formats (the one-line format, and deb822's stanzas).
# Empty if none does, or if only a mirror list does.
archive_of() {
    local files=() file
    for file in "$SYSROOT"/etc/apt/sources.list "$SYSROOT"/etc/apt/sources.list.d/*.list "$SYSROOT"/etc/apt/sources.list.d/*.sources; do
        if [ -f "$file" ]; then files+=("$file"); fi
    done
    [ ${#files[@]} -gt 0 ] || return 0
    awk -v suite="$1" '
        function offer(uri, suites, n, i, word) {
            n = split(suites, word, " ")
            for (i = 1; i <= n && !found; i++) if (word[i] == suite && uri ~ /^(https?|file):/) found = uri
        }
        function stanza(n, i, uris) {
            n = split(field["uris"], uris, " ")
            if (field["types"] ~ /(^| )deb( |$)/ && tolower(field["enabled"]) !~ /^[ \t]*no[ \t]*$/)
                for (i = 1; i <= n; i++) offer(uris[i], field["suites"])
            split("", field); last = ""
        }
        FNR == 1 { stanza(); deb822 = FILENAME ~ /\.sources$/ }
        /^[ \t]*#/ { next }
        deb822 && /^[ \t]*$/ { stanza(); next }
        deb822 && /^[ \t]/ { field[last] = field[last] $0; next }
        deb822 { last = tolower(substr($0, 1, index($0, ":") - 1)); field[last] = substr($0, index($0, ":") + 1); next }
        $1 == "deb" { sub(/[ \t]\[[^]]*\]/, ""); offer($2, $3) }
        END { stanza(); if (found) print found }
    ' "${files[@]}"
}
