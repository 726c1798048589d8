# Completion of maetok for fish: maetok completion fish > ~/.config/fish/completions/maetok.fish
function __maetok_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l lines (maetok --complete $words[2..-1] 2>/dev/null)
    switch "$lines[1]"
        case words paths
            printf '%s\n' $lines[2..-1]
        case '*'
            __fish_complete_path (commandline -ct)
    end
end
complete -c maetok -f -a '(__maetok_complete)'
