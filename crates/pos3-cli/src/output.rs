//! The two streams: data on stdout, everything else on stderr. Nothing else in this program prints.
//!
//! A reader that has seen enough closes its end (`pos3 ls … | head`); that is no failure and no panic. Data that cannot be
//! written is an error of its own, whatever the command: a full disk must not look like an empty listing.

mod stdout;
mod text;

use std::io::{self, BufWriter, IsTerminal, Write};
use std::panic::PanicHookInfo;
use std::path::Path;
use std::sync::{Mutex, PoisonError, TryLockError};

use indicatif::{ProgressBar, ProgressDrawTarget};

use crate::name;

pub(crate) use stdout::{Reader, data, end};
pub(crate) use text::{Out, Text, message};

/// The bar that stands on the terminal, if one does. There is one terminal, whoever writes to it.
static BAR: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Writes a path to stdout: exactly for a program, escaped for a person.
pub(crate) fn path(out: &mut Out<'_>, path: &Path) -> io::Result<()> {
    if io::stdout().is_terminal() { writeln!(out, "{}", path.display()) } else { out.path(path) }
}

/// Returns true if a person sees stderr as it is written.
pub(crate) fn is_watched() -> bool {
    io::stderr().is_terminal()
}

/// Returns where a bar is drawn.
pub(crate) fn draw_target() -> ProgressDrawTarget {
    ProgressDrawTarget::stderr()
}

/// Says which bar stands on the terminal from now on.
pub(crate) fn set_bar(bar: Option<ProgressBar>) {
    *BAR.lock().unwrap_or_else(PoisonError::into_inner) = bar;
}

/// Writes lines to stderr as they are made, between two drawings of the bar and not through it; if nobody can read them,
/// nothing can be done.
pub(crate) fn notes(make: impl FnOnce(&mut Out<'_>) -> io::Result<()>) {
    match BAR.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
        Some(bar) => bar.suspend(|| write(make)),
        None => write(make),
    }
}

/// Writes lines to stderr.
pub(crate) fn text(text: &Text) {
    notes(|out| out.text(text));
}

/// Writes one line to stderr. A newline at its end may be left out.
pub(crate) fn note(line: &str) {
    text(&Text::of(line.strip_suffix('\n').unwrap_or(line)));
}

/// Writes an error and what to do about it to stderr.
pub(crate) fn error(message: &str, hint: Option<&str>) {
    say("error", message, hint);
}

/// Writes an error of a command that scripts know by such lines, and what to do about it, to stderr.
pub(crate) fn command_error(command: &str, message: &str, hint: Option<&str>) {
    say(&format!("{} {command}", name::name()), message, hint);
}

/// Writes what a thread says when it panics, which the standard library would print as it is.
pub(crate) fn panicked(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(|place| format!(" ({}:{})", place.file(), place.line())).unwrap_or_default();
    let why = panic.payload_as_str().unwrap_or("a panic without a message");
    let mut message = Text::of(format!("error: this is a defect in {}: {why}{place}", name::name()));
    message
        .line("hint: report it with the command line; what was being done may be incomplete, so run the command again");
    // The thread may have panicked while it had the bar.
    let is_taken = matches!(BAR.try_lock(), Err(TryLockError::WouldBlock));
    if is_taken { write(|out| out.text(&message)) } else { text(&message) }
}

fn say(who: &str, message: &str, hint: Option<&str>) {
    notes(|out| {
        writeln!(out, "{who}: {message}")?;
        hint.map_or(Ok(()), |hint| writeln!(out, "hint: {hint}"))
    });
}

fn write(make: impl FnOnce(&mut Out<'_>) -> io::Result<()>) {
    let mut out = BufWriter::new(io::stderr().lock());
    let _ = make(&mut Out::for_messages(&mut out)).and_then(|()| out.flush());
    // What a failed flush left in the buffer must not be tried again on drop.
    let _ = out.into_parts();
}
