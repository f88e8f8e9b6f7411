// `devmesh completion bash|zsh|fish`: scripts that ask the program itself, so that they never lag behind its commands.

/** The hidden command `complete` answers: what kind of words on the first line, then one `word<TAB>description` a line. */
export const completionScripts = {
  bash: `# Completion of devmesh for bash. In ~/.bashrc:  source <(devmesh completion bash)
_devmesh() {
  local line kind=''
  COMPREPLY=()
  while IFS= read -r line; do
    if [ -z "$kind" ]; then kind=$line; else COMPREPLY+=("\${line%%$'\\t'*}"); fi
  done < <("\${COMP_WORDS[0]}" complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
  type compopt >/dev/null 2>&1 || return 0
  case $kind in
    open) compopt -o nospace ;;
    files) compopt -o default ;;
  esac
}
complete -F _devmesh devmesh
`,
  zsh: `#compdef devmesh
# Completion of devmesh for zsh. In ~/.zshrc, behind compinit:  source <(devmesh completion zsh)
_devmesh() {
  local -a lines candidates
  local line word
  lines=("\${(@f)$("$words[1]" complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  for line in "\${(@)lines[2,-1]}"; do
    word=\${line%%$'\\t'*}
    candidates+=("\${word//:/\\\\:}:\${line#*$'\\t'}")
  done
  case $lines[1] in
    files) _files ;;
    open) _describe -t values devmesh candidates -S '' ;;
    words) _describe -t values devmesh candidates ;;
  esac
}
if [ "$funcstack[1]" = _devmesh ]; then _devmesh "$@"; else compdef _devmesh devmesh; fi
`,
  fish: `# Completion of devmesh for fish. In ~/.config/fish/config.fish:  devmesh completion fish | source
function __devmesh_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l lines ($words[1] complete -- $words[2..-1] "$current" 2>/dev/null)
    if test "$lines[1]" = files
        __fish_complete_path "$current"
    else
        printf '%s\\n' $lines[2..-1]
    end
end
complete -c devmesh -f -a '(__devmesh_complete)'
`,
} as const;
