# Completion of maetok for bash 4.4 and later: source <(maetok completion bash)
_maetok() {
  local words=() word joins=
  # bash breaks words at = and :, maetok does not.
  for word in "${COMP_WORDS[@]:1:COMP_CWORD}"; do
    if [[ ${#words[@]} -gt 0 && ($joins || $word == [=:]*) ]]; then
      words[-1]+=$word
    else
      words+=("$word")
    fi
    [[ $word == *[=:] ]] && joins=1 || joins=
  done
  local kind lines=()
  mapfile -t lines < <(maetok --complete "${words[@]}" 2>/dev/null)
  kind=${lines[0]}
  COMPREPLY=()
  # What bash holds to be the word begins behind the last = or :.
  local current=${words[-1]} broken=
  [[ $current =~ ^.*[=:] ]] && broken=${BASH_REMATCH[0]}
  for word in "${lines[@]:1}"; do
    word=${word%%$'\t'*}
    COMPREPLY+=("${word#"$broken"}")
  done
  case $kind in
    files) compopt -o default ;;
    paths) compopt -o filenames ;;
  esac
}
complete -F _maetok maetok
