# SPDX-License-Identifier: LGPL-2.1-or-later
# bash completion for virt-gmem: it lists the verbs and options itself, and virsh lists the domains.

_virt_gmem_domains() {
    command virsh --readonly --quiet list --name "$@" 2>/dev/null
}

_virt_gmem() {
    local word=$2 previous=$3 verb=${COMP_WORDS[1]}

    COMPREPLY=()
    if [[ $COMP_CWORD -eq 1 || ( $verb == help && $COMP_CWORD -eq 2 ) ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(command virt-gmem help 2>/dev/null |
            sed -n 's/^  \([a-z]*\) .*/\1/p') help" -- "$word")
    elif [[ $verb == host && ( $previous == --mode || $previous == -m ) ]]; then
        mapfile -t COMPREPLY < <(compgen -W 'fully-shared convertible' -- "$word")
    elif [[ $word == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(command virt-gmem help "$verb" 2>/dev/null |
            sed -n 's/^  \(-., \)\{0,1\}\(--[a-z-]*\).*/\2/p')" -- "$word")
    elif [[ $verb == status && ! $previous =~ ^(--map|-m|--interval|-i|--count|-c)$ ]]; then
        local IFS=$'\n'
        mapfile -t COMPREPLY < <(compgen -W "$(_virt_gmem_domains)" -- "$word")
    else
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
    fi
}

complete -F _virt_gmem virt-gmem
