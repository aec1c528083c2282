# Sourced: a root of Debian by itself, in which a newcomer works. Needs root, debootstrap and a network.
#
# fresh_root SUITE PACKAGE...: makes it in $root, with the user `newcomer`, and takes it away at the end.
# says WORDS: a line of the log that is not the newcomer's. told COMMAND: shows the command as it is typed at a
# prompt, runs it as the newcomer, and shows what it prints; `fails COMMAND` expects that it fails.

fresh_root() {
    local suite="$1"
    shift
    root="$(mktemp -d)"
    trap 'umount -q "$root/proc" || true; rm -rf "$root"' EXIT
    chmod 755 "$root"
    says "A new root: Debian $suite with $*"
    debootstrap --variant=minbase --include="$(IFS=,; echo "$*")" "$suite" "$root" >"$root.log" 2>&1 || {
        cat "$root.log"
        return 1
    }
    rm "$root.log"
    mount -t proc proc "$root/proc"
    cp /etc/resolv.conf "$root/etc/resolv.conf"
    # A network that has a CA of its own gives it to this machine; the newcomer's has it too.
    cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
    echo "127.0.0.1 localhost" >"$root/etc/hosts"
    chroot "$root" useradd --create-home --shell /bin/bash newcomer
    home="$root/home/newcomer"
}

says() { printf '\n# %s\n' "$*"; }

as_newcomer() {
    chroot --userspec=newcomer:newcomer "$root" env -i HOME=/home/newcomer LANG=C.UTF-8 COLUMNS=80 \
        PATH=/usr/local/bin:/usr/bin:/bin PIP_DISABLE_PIP_VERSION_CHECK=1 \
        bash -c "cd; [ ! -d env ] || . env/bin/activate; $1" 2>&1
}

told() {
    printf '\n$ %s\n' "$1"
    as_newcomer "$1"
}

fails() {
    if told "$1"; then
        echo "This was to fail."
        return 1
    fi
}
