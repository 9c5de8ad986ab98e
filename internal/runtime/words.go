package runtime

import (
	"bytes"
	"cmp"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
)

const (
	wordBytes = 400       // of the reason of an exit that are kept
	panicWord = "panic: " // begins what Go prints of a panic
)

var (
	// klogError matches an error or fatal line of Kubernetes: E1122 14:56:01.123456 12345 run.go:72] message.
	klogError = regexp.MustCompile(`^[EF]\d{4} [0-9:.]+ +\d+ [^ ]+\] (.*)$`)
	// plainError matches what Go programs print when they give up.
	plainError = regexp.MustCompile(`^((?:[Ee]rror|panic|fatal error|fatal|myriad): .*)$`)
	// slogError matches an error line of log/slog's text format.
	slogError = regexp.MustCompile(`^time=\S+ level=ERROR msg=(.*)$`)
)

// LastWords finds in the end of a log the last line that tells of an error; without one the last
// line that is neither usage text nor a stack. A program that logs why and then panics with less (etcd
// does) is quoted with the reason.
func LastWords(tail []byte) string {
	lines := bytes.Split(tail, []byte("\n"))
	fallback, panicked := "", ""
	for _, raw := range slices.Backward(lines) {
		line := strings.TrimRight(string(raw), "\r ")
		message := errorMessage(line)
		reason, why := strings.CutPrefix(message, strings.TrimPrefix(panicked, panicWord)+": ")
		switch {
		case panicked != "" && why:
			return shorten(panicked + ": " + reason)
		case panicked == "" && strings.HasPrefix(message, panicWord):
			panicked = message
		case panicked == "" && message != "":
			return shorten(message)
		}
		if fallback == "" && line != "" && !strings.ContainsAny(line[:1], " \t-") {
			fallback = line
		}
	}
	return shorten(cmp.Or(panicked, fallback))
}

func errorMessage(line string) string {
	for _, form := range []*regexp.Regexp{klogError, plainError, slogError} {
		if match := form.FindStringSubmatch(line); match != nil {
			return match[1]
		}
	}
	if !strings.HasPrefix(line, "{") {
		return ""
	}
	// etcd writes JSON (zap), and Myriad's own daemons may (log/slog).
	var entry struct{ Level, Msg, Error string }
	if json.Unmarshal([]byte(line), &entry) != nil {
		return ""
	}
	switch strings.ToLower(entry.Level) {
	case "error", "fatal", "panic":
	default:
		return ""
	}
	if entry.Error == "" {
		return entry.Msg
	}
	return entry.Msg + ": " + entry.Error
}

func shorten(message string) string {
	if len(message) <= wordBytes {
		return message
	}
	return strings.ToValidUTF8(message[:wordBytes], "") + "…"
}
