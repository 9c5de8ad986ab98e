package cli

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/charmbracelet/lipgloss"
	"k8s.io/utils/clock"
)

// patience is how long nothing is shown: what is done sooner needs no progress.
const patience = time.Second

var spinner = []string{"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"}

// progress shows what a command is waiting for and since when: after a moment of patience,
// one line that is redrawn on a terminal, and one line per change elsewhere.
type progress struct {
	out   io.Writer
	clock clock.PassiveClock
	width int // of the terminal in characters; 0 for none

	start time.Time
	last  string
	frame int
	style lipgloss.Style
}

func (s *session) newProgress() *progress {
	return &progress{
		out: s.err, clock: s.clock, width: s.width(), start: s.clock.Now(),
		style: lipgloss.NewRenderer(s.err).NewStyle().Foreground(lipgloss.Color("6")),
	}
}

// Stepf says what is going on now. Saying the same again keeps a terminal's clock ticking.
func (p *progress) Stepf(format string, arguments ...any) {
	text := strings.ReplaceAll(fmt.Sprintf(format, arguments...), "\n", " ")
	if p.clock.Since(p.start) < patience {
		return
	}
	elapsed := p.Elapsed()
	if p.width == 0 {
		if text != p.last {
			_, _ = fmt.Fprintf(p.out, "[%4s] %s\n", elapsed, text)
		}
		p.last = text
		return
	}
	line := fmt.Sprintf("%s %s", elapsed, text)
	if room := p.width - 3; len([]rune(line)) > room {
		line = string([]rune(line)[:max(0, room-1)]) + "…"
	}
	_, _ = fmt.Fprintf(p.out, "\r\x1b[K%s %s", p.style.Render(spinner[p.frame%len(spinner)]), line)
	p.frame++
	p.last = text
}

// Stop takes the line off a terminal, so that what follows starts on a clean one.
func (p *progress) Stop() {
	if p.width > 0 && p.last != "" {
		_, _ = fmt.Fprint(p.out, "\r\x1b[K")
	}
	p.last = ""
}

// Elapsed since the progress began.
func (p *progress) Elapsed() time.Duration { return p.clock.Since(p.start).Round(time.Second) }
