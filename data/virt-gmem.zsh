#compdef virt-gmem
# SPDX-License-Identifier: LGPL-2.1-or-later
# zsh completion for virt-gmem: it lists the verbs and options itself, and virsh lists the domains.

_virt-gmem() {
    local verb=$words[2] word=$words[CURRENT] previous=$words[CURRENT-1]
    local -a found

    if (( CURRENT == 2 )) || [[ $verb == help && CURRENT -eq 3 ]]; then
        found=(${(f)"$(command virt-gmem help 2>/dev/null | sed -n 's/^  \([a-z]*\) .*/\1/p')"} help)
    elif [[ $previous == (--mode|-m) && $verb == host ]]; then
        found=(fully-shared convertible)
    elif [[ $word == -* ]]; then
        found=(${(f)"$(command virt-gmem help "$verb" 2>/dev/null |
            sed -n 's/^  \(-., \)\{0,1\}\(--[a-z-]*\).*/\2/p')"})
    elif [[ $verb == status && $previous != (--map|-m|--interval|-i|--count|-c) ]]; then
        found=(${(f)"$(command virsh --readonly --quiet list --name 2>/dev/null)"})
    else
        _files
        return
    fi
    compadd -- $found
}

_virt-gmem "$@"
