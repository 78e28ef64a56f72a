//! `milvusctl completions`: scripts that teach a shell the commands, options and aliases.
//!
//! Invariant: the names of aliases are asked for when they are completed, so a script never goes stale.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use crate::arguments::Arguments;
use crate::console::Console;
use crate::exit::Exit;
use crate::failure::Failure;

/// Print completions for a shell: commands, options and (bash, fish, zsh) the names of aliases.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  source <(milvusctl completions bash)                              (in ~/.bashrc)
  milvusctl completions zsh > \"${fpath[1]}/_milvusctl\"
  milvusctl completions fish > ~/.config/fish/completions/milvusctl.fish")]
pub(crate) struct CompletionsArguments {
    /// bash, elvish, fish, powershell or zsh
    #[arg(value_enum, hide_possible_values = true)]
    shell: Shell,
}

/// The commands whose first argument is an alias.
const TAKE_ALIASES: [&str; 7] = [
    "show", "remove", "rm", "explain", "ping", "doctor", "version",
];

pub(super) fn run(
    arguments: &CompletionsArguments,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(
        arguments.shell,
        &mut Arguments::command(),
        "milvusctl",
        &mut script,
    );
    let script = String::from_utf8_lossy(&script).into_owned();
    let script = match arguments.shell {
        Shell::Bash => script + &bash_aliases(),
        Shell::Fish => script + &fish_aliases(),
        Shell::Zsh => zsh_aliases(&script),
        _ => script,
    };
    console.print(|_| script)?;
    Ok(Exit::Success)
}

/// A function around the generated one, which knows nothing of aliases.
fn bash_aliases() -> String {
    let commands = TAKE_ALIASES.join("|");
    format!(
        r#"
_milvusctl_with_aliases() {{
    _milvusctl "$@"
    case "${{COMP_WORDS[1]}}" in
        {commands})
            if [[ "${{COMP_WORDS[COMP_CWORD]}}" != -* ]]; then
                COMPREPLY+=($(compgen -W "$(milvusctl list --names 2>/dev/null)" -- "${{COMP_WORDS[COMP_CWORD]}}"))
            fi
            ;;
    esac
}}
complete -F _milvusctl_with_aliases -o bashdefault -o default milvusctl
"#
    )
}

fn fish_aliases() -> String {
    let commands = TAKE_ALIASES.join(" ");
    format!(
        "complete -c milvusctl -n \"__fish_seen_subcommand_from {commands}\" -f -a \"(milvusctl list --names 2>/dev/null)\"\n"
    )
}

/// The generated script completes positional arguments by `_default`; those that may be aliases by a function of ours.
fn zsh_aliases(script: &str) -> String {
    let function = "_milvusctl_aliases() {\n    local -a aliases\n    aliases=(${(f)\"$(milvusctl list --names 2>/dev/null)\"})\n    compadd -a aliases\n}\n\n";
    let mut is_alias_command = false;
    let mut adapted = String::new();
    for line in script.lines() {
        // The generator begins each command's part with its name: `(ping)`.
        if let Some(name) = line
            .trim()
            .strip_prefix('(')
            .and_then(|line| line.strip_suffix(')'))
        {
            is_alias_command = TAKE_ALIASES.contains(&name);
        }
        let is_positional =
            line.starts_with("'::") || line.starts_with("'*::") || line.starts_with("':");
        if is_alias_command && is_positional {
            adapted.push_str(&line.replace(":_default'", ":_milvusctl_aliases'"));
        } else {
            adapted.push_str(line);
        }
        adapted.push('\n');
        if line.starts_with("autoload ") {
            adapted.push('\n');
            adapted.push_str(function);
        }
    }
    adapted
}
