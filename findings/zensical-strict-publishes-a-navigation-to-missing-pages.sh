#!/usr/bin/env bash
# `zensical build --strict` finds no issue in a navigation that names a missing page, nor in an image that is not there.
#
# zensical 0.0.73 beside mkdocs 1.6.1 (PyPI), one and the same project for both: a `nav` entry for gone.md, which does not
# exist, or a page with ![](missing.png), or with a link to the file missing.pdf. mkdocs aborts in strict mode for each of the
# three. zensical, whose strict mode aborts for a link to a missing page, says "No issues found" with exit code 0, and what it
# publishes leads visitors to ./gone.md.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
export NO_COLOR=1
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check zensical==0.0.73 mkdocs==1.6.1
mkdir docs
built() { # NAME, the page's text, more of the configuration
    local program
    printf '# Home\n\n%s\n' "$2" > docs/index.md
    printf 'site_name: Example\n%s\n' "${3:-}" > mkdocs.yml
    for program in mkdocs zensical; do
        rm -rf site .cache
        if "venv/bin/$program" build --strict > log 2>&1; then echo "$1: $program builds it"; else echo "$1: $program refuses it"; fi
    done
}
{
    built 'link to a missing page' '[gone](gone.md)'
    built 'missing image' '![](missing.png)'
    built 'link to a missing file' '[paper](missing.pdf)'
    built 'missing page in nav' 'Text.' $'nav:\n  - Home: index.md\n  - Gone: gone.md'
    grep -ao 'No issues found' log
    grep -o 'href="./gone.md"' site/index.html | sort -u
} | tee got
diff -u - got <<'END'
link to a missing page: mkdocs refuses it
link to a missing page: zensical refuses it
missing image: mkdocs refuses it
missing image: zensical builds it
link to a missing file: mkdocs refuses it
link to a missing file: zensical builds it
missing page in nav: mkdocs refuses it
missing page in nav: zensical builds it
No issues found
href="./gone.md"
END
