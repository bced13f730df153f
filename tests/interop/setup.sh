#!/bin/sh
# Installs the official A2A SDKs, pinned, from their ordinary registries, into .interop/ and builds the programs around them.
#
#   tests/interop/setup.sh [LANGUAGE…]      python js go rust java; without one: all of them
#
# Does nothing for a language whose lock files are the ones it was last set up with. Touches only .interop/ and
# tests/interop/js/node_modules. A language whose toolchain is missing is an error that names it.
set -eu

cd "$(dirname "$0")/../.."
here=tests/interop
into=$PWD/.interop
mkdir -p "$into"
say() { printf 'interop: %s\n' "$*" >&2; }
die() { say "$*"; exit 69; }
need() { command -v "$1" >/dev/null 2>&1 || die "there is no $1, which the $2 SDK needs: install $3, or leave it out with ONLY='…'"; }
registry() { die "$1 could not install the $2 SDK: is the package registry reachable?"; }

# What a language's set-up depends on, as one number; a change of it sets up anew.
stamp() { cat "$@" | cksum; }
ready() { [ "$(cat "$into/$1.stamp" 2>/dev/null)" = "$2" ]; }
done_with() { echo "$2" > "$into/$1.stamp"; }

setup_python() {
    want=$(stamp $here/python/requirements-*.txt)
    ready python "$want" && return
    need python3 Python python3
    python3 -c 'import ensurepip' 2>/dev/null || die "python3 has no ensurepip: install python3-venv"
    for version in v1 v03; do
        say "installing the Python SDK ($version)"
        python3 -m venv "$into/python-$version"
        "$into/python-$version/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary :all: \
            -r "$here/python/requirements-$version.txt" >&2 || registry pip Python
    done
    done_with python "$want"
}

setup_js() {
    want=$(stamp $here/js/package-lock.json)
    ready js "$want" && [ -d $here/js/node_modules ] && return
    need npm JavaScript "Node.js 20 or newer"
    say "installing the JavaScript SDK"
    (cd $here/js && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2) || registry npm JavaScript
    done_with js "$want"
}

setup_go() {
    want=$(stamp $here/go/go.sum $here/go/*/*.go)
    ready go "$want" && return
    need go Go "Go 1.25 or newer"
    say "building the Go SDK's programs"
    mkdir -p "$into/go"
    (cd $here/go && go build -o "$into/go/" ./client ./server >&2) || registry go Go
    done_with go "$want"
}

setup_rust() {
    want=$(stamp $here/rust/Cargo.toml $here/rust/Cargo.lock $here/rust/src/*.rs $here/rust/src/bin/*.rs)
    ready rust "$want" && return
    need cargo Rust rustup
    say "building the Rust SDK's programs"
    (cd $here/rust && CARGO_TARGET_DIR="$into/rust" cargo build --quiet --locked --release --bins >&2) || registry cargo Rust
    done_with rust "$want"
}

setup_java() {
    want=$(stamp $here/java/pom.xml $here/java/src/main/java/interop/*.java)
    ready java "$want" && return
    need mvn Java "Maven and a JDK 17 or newer"
    say "building the Java SDK's program"
    mvn --quiet --batch-mode --file $here/java/pom.xml "-DbuildDirectory=$into/java" package >&2 || registry mvn Java
    done_with java "$want"
}

[ $# -gt 0 ] || set -- python js go rust java
for language in "$@"; do
    case $language in
        python | js | go | rust | java) "setup_$language" ;;
        *) say "unknown language $language: python, js, go, rust or java"; exit 2 ;;
    esac
done
