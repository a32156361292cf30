# bash completion for virt-hpt
#
# SPDX-License-Identifier: GPL-2.0-or-later

_virt_hpt() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
    local commands="inspect check entry-list decode extract record validate help
        snapshot-create-as snapshot-list snapshot-info snapshot-dumpxml snapshot-validate
        snapshot-revert snapshot-delete"
    local options="--connect --json --quiet --help --version"
    local word command="" i

    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        case $word in
        -c | --connect) ((i++)) ;;
        -*) ;;
        *)
            command=$word
            break
            ;;
        esac
    done

    case $prev in
    -c | --connect | --slot | --va | --rpn | --order | --max | --timeout) return ;;
    --size)
        mapfile -t COMPREPLY < <(compgen -W "4K 64K 16M 16G" -- "$cur")
        return
        ;;
    --format)
        mapfile -t COMPREPLY < <(compgen -W "qemu kvm-le kvm-be" -- "$cur")
        return
        ;;
    --level)
        mapfile -t COMPREPLY < <(compgen -W "record table dry-run" -- "$cur")
        return
        ;;
    esac

    case $command in
    check) options+=" --max" ;;
    entry-list) options+=" --slot --va --rpn --bolted --size" ;;
    decode) options+=" --slot --order" ;;
    validate) options+=" --level --no-dry-run --timeout" ;;
    extract) options+=" --output --format --force" ;;
    snapshot-create-as) options+=" --memspec --diskspec --description --live --atomic" ;;
    snapshot-info | snapshot-dumpxml | snapshot-validate) options+=" --current" ;;
    snapshot-revert)
        options+=" --current --prove --discard-current --paused --running --recover"
        ;;
    snapshot-delete) options+=" --current --metadata" ;;
    esac

    if [[ $cur == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$options" -- "$cur")
    elif [[ -z $command || $command == help ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$commands" -- "$cur")
    elif [[ $command != decode && $command != snapshot-* ]]; then
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
    fi
}

complete -F _virt_hpt virt-hpt
