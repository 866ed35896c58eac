#!/bin/sh
# sample.sh — does what its arguments say, in order. Made for trying jobmgr out.
#
#   sample.sh                      prints a line and succeeds
#   sample.sh print TEXT           prints TEXT
#   sample.sh error TEXT           prints TEXT on stderr
#   sample.sh sleep SECONDS        waits
#   sample.sh progress PERCENT     reports progress (fd 3; silent where there is none)
#   sample.sh exit CODE            ends with CODE; what follows is not done
#   sample.sh signal NAME          sends itself a signal, for example KILL
#   sample.sh crash-once           ends with 1 on the first attempt (JOBMGR_ATTEMPT), passes on later ones
#   sample.sh chance PERCENT       ends with 1 in so many of a hundred runs, by real chance
#   sample.sh weak WORD            if WORD was printed before, every chance that follows is three times as large
#   sample.sh anything else        prints each other word on a line of its own
#
# Example: sample.sh print hello sleep 2 progress 50 sleep 2 exit 3
# Another: sample.sh --codec av1 weak av1 chance 10 crashes in 30 % of its runs, with --codec h264 in 10 %.

operand() { # operand WORD COUNT: ends with a sentence unless something follows WORD.
    if [ "$2" -lt 2 ]; then
        printf 'sample.sh: "%s" needs a word after it.\n' "$1" >&2
        exit 2
    fi
}

newline='
'
said=$newline # every word that was printed, each between two line ends
say() {
    said=$said$1$newline
    printf '%s\n' "$1"
}

factor=1
chance() { # chance PERCENT: ends with 1, or goes on; says which, in as many letters.
    case $1 in
        '' | *[!0-9]* | 0?* | ????*) printf 'sample.sh: chance wants a percentage from 0 to 100, not "%s".\n' "$1" >&2; exit 2 ;;
    esac
    drawn=$(od -An -N2 -tu2 /dev/urandom) || exit 2 # 0 to 65535
    if [ $((drawn * 100)) -lt $(($1 * factor * 65536)) ]; then
        echo 'sample.sh: crashing, by chance.' >&2
        exit 1
    fi
    echo 'sample.sh: no crash, by chance.'
}

if [ $# -eq 0 ]; then
    echo 'sample.sh: nothing asked, all done.'
fi

while [ $# -gt 0 ]; do
    case $1 in
        print) operand "$1" $#; say "$2"; shift 2 ;;
        error) operand "$1" $#; printf '%s\n' "$2" >&2; shift 2 ;;
        sleep) operand "$1" $#; sleep "$2" || exit 2; shift 2 ;;
        progress) operand "$1" $#; { printf '%s\n' "$2" >&3; } 2>/dev/null || :; shift 2 ;;
        signal) operand "$1" $#; kill -s "$2" $$ || exit 2; shift 2 ;;
        exit)
            operand "$1" $#
            case $2 in
                '' | *[!0-9]* | ????*) printf 'sample.sh: exit wants a code from 0 to 255, not "%s".\n' "$2" >&2; exit 2 ;;
            esac
            exit "$2" ;;
        crash-once)
            if [ "${JOBMGR_ATTEMPT:-1}" -eq 1 ]; then
                echo 'sample.sh: crashing, this is the first attempt.' >&2
                exit 1
            fi
            echo "sample.sh: passing, this is attempt $JOBMGR_ATTEMPT."
            shift ;;
        chance) operand "$1" $#; chance "$2"; shift 2 ;;
        weak)
            operand "$1" $#
            case $said in *"$newline$2$newline"*) factor=3 ;; esac
            shift 2 ;;
        *) say "$1"; shift ;;
    esac
done
