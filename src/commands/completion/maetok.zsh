#compdef maetok
# Completion of maetok for zsh: source <(maetok completion zsh), after compinit
_maetok() {
  local -a lines candidates
  local kind line
  lines=("${(@f)$(maetok --complete "${(@)words[2,CURRENT-1]}" "$PREFIX" 2>/dev/null)}")
  kind=$lines[1]
  case $kind in
    words)
      # _describe takes word:meaning.
      for line in "${(@)lines[2,-1]}"; do
        candidates+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
      done
      _describe 'maetok' candidates
      ;;
    paths)
      for line in "${(@)lines[2,-1]}"; do
        candidates+=("${line%%$'\t'*}")
      done
      compadd -f -S '/' -q -- "${(@)candidates}"
      ;;
    *)
      compset -P '*='
      _files
      ;;
  esac
}
compdef _maetok maetok
