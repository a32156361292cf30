# bash completion for virt-hpt
#
# SPDX-License-Identifier: GPL-2.0-or-later

_virt_hpt() {
    local commands="inspect check entry-list decode diff apply extract record validate help
        snapshot-create-as snapshot-list snapshot-info snapshot-dumpxml snapshot-validate
        snapshot-revert snapshot-delete"
    local options="--connect --json --quiet --help --version"
    local command="" cur prev before="" words i

    # Not COMP_WORDS: bash splits them at the ':' of a URI and the '=' of an option, too
    IFS=$' \t\n' read -ra words <<<"${COMP_LINE:0:COMP_POINT}."
    words[-1]=${words[-1]%.}
    while [[ ${#words[@]} -gt 1 && ${words[0]} != "$1" ]]; do
        words=("${words[@]:1}")
    done
    [[ ${#words[@]} -gt 1 ]] || return

    for ((i = 1; i < ${#words[@]} - 1; i++)); do
        case ${words[i]} in
        -c | --connect) ((i++)) ;;
        -*) ;;
        *)
            command=${words[i]}
            break
            ;;
        esac
    done

    cur=${words[-1]} prev=${words[-2]}
    if [[ $cur == --*=* ]]; then
        prev=${cur%%=*} cur=${cur#*=}
    fi

    case $prev in
    -c | --connect | --slot | --va | --rpn | --order | --max | --timeout) return ;;
    --description) return ;;
    -o | --output | --delta | --memspec | --diskspec)
        compopt -o default
        return
        ;;
    --size)
        mapfile -t COMPREPLY < <(compgen -W "4K 64K 16M 16G" -- "$cur")
        return
        ;;
    --format)
        mapfile -t COMPREPLY < <(compgen -W "qemu kvm-le kvm-be" -- "$cur")
        return
        ;;
    --explain)
        mapfile -t COMPREPLY < <(compgen -W "all $(LC_ALL=C virt-hpt check --explain all 2>/dev/null |
            sed -n 's/^Rule: *//p')" -- "$cur")
        return
        ;;
    --level)
        [[ $cur != *,* ]] || before=${cur%,*},
        mapfile -t COMPREPLY < <(compgen -P "$before" -W "record table dry-run" -- "${cur##*,}")
        return
        ;;
    esac

    case $command in
    check) options+=" --max --explain" ;;
    entry-list) options+=" --slot --va --rpn --bolted --size" ;;
    decode) options+=" --slot --order" ;;
    diff) options+=" --max --ignore-rc --delta --force" ;;
    apply) options+=" --output --force" ;;
    validate) options+=" --level --no-dry-run --timeout" ;;
    extract) options+=" --output --format --force" ;;
    snapshot-create-as) options+=" --memspec --diskspec --description --live --atomic" ;;
    snapshot-info | snapshot-dumpxml) options+=" --current" ;;
    snapshot-validate) options+=" --current --no-dry-run" ;;
    snapshot-revert)
        options+=" --current --prove --no-dry-run --discard-current --paused --running --recover"
        ;;
    snapshot-delete) options+=" --current --metadata" ;;
    esac

    if [[ $cur == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$options" -- "$cur")
    elif [[ -z $command || $command == help ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$commands" -- "$cur")
    elif [[ $command != decode && $command != snapshot-* ]]; then
        compopt -o default
    fi
}

complete -F _virt_hpt virt-hpt
