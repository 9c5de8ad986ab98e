// Package page reads Prometheus' text format as a stream: pages of kube-apiserver have megabytes, of
// which a few lines matter.
package page

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
)

const (
	// longestLine that is read. The longest of a kube-apiserver v1.36 has less than 400 bytes; label
	// values are names, which Kubernetes bounds to 253 bytes each.
	longestLine = 32 << 10
	// mostLabels of one line. kube-apiserver's families have 9 at most, and histograms one more.
	mostLabels = 32
	// most that a count, a size in bytes or a rate may be: beyond 2^53 a float64 skips numbers, and no
	// control plane counts to 10^15.
	most = 1e15
)

// Label of a sample. Both parts are only valid until the next sample is taken.
type Label struct{ Name, Value []byte }

// Sample is one line of a page.
type Sample struct {
	// Family is one of those that were asked for.
	Family string
	// Labels in the order of the page. They are only valid until the next sample is taken.
	Labels []Label
	// Value as it is written: it may be anything that a float64 can be.
	Value float64
	// Millis is the time of the sample since 1970 in milliseconds; 0 for the usual one that has none.
	Millis int64
}

// Label returns the value of a label, empty for one that is not there: Prometheus holds both to be the
// same.
func (s *Sample) Label(name string) []byte {
	for i := range s.Labels {
		if string(s.Labels[i].Name) == name {
			return s.Labels[i].Value
		}
	}
	return nil
}

// Sane tells whether the value can be a count, a size or a time: it is not NaN, infinite, negative or
// beyond all reason.
func (s *Sample) Sane() bool { return Sane(s.Value) }

// Sane tells whether a value can be a count, a size or a time.
func Sane(value float64) bool { return !math.IsNaN(value) && value >= 0 && value <= most }

// helpOf begins the line that goes before each family.
var helpOf = []byte("# HELP ")

// Scan reads a page and hands over the samples of the families that are asked for. All else is
// skipped unread, and what comes after the last family not even fetched: Prometheus' libraries write
// families in the order of their names, and of a page of kube-apiserver more than half comes later. It
// holds one line at a time, whatever the page's size. An error means that the page is not to be relied
// on: it ended early, take refused a sample, or a line of a family that was asked for makes no sense.
func Scan(from io.Reader, families []string, take func(*Sample) error) error {
	last := slices.Max(families)
	lines := bufio.NewReaderSize(from, longestLine)
	sample := Sample{Labels: make([]Label, 0, mostLabels)}
	for {
		line, err := lines.ReadSlice('\n')
		if name, help := bytes.CutPrefix(line, helpOf); help && string(name) > last+"\x7f" {
			return nil
		}
		if family := wanted(line, families); family != "" {
			if errors.Is(err, bufio.ErrBufferFull) {
				return fmt.Errorf("a line of %s is longer than %d bytes", family, longestLine)
			}
			if err != nil && !errors.Is(err, io.EOF) {
				return err
			}
			if parseErr := sample.parse(family, line); parseErr != nil {
				return fmt.Errorf("%.200q: %w", line, parseErr)
			}
			if takeErr := take(&sample); takeErr != nil {
				return takeErr
			}
		}
		for errors.Is(err, bufio.ErrBufferFull) { // the rest of a long line that nobody wants
			_, err = lines.ReadSlice('\n')
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// wanted returns the family that a line is of, if it was asked for. Comparing a few names at the place
// where each would end is all that is spent on the lines that nobody wants.
func wanted(line []byte, families []string) string {
	for _, family := range families {
		n := len(family)
		if len(line) > n && (line[n] == '{' || line[n] == ' ' || line[n] == '\t') && string(line[:n]) == family {
			return family
		}
	}
	return ""
}

// parse a line of a family: labels in braces, or none, the value, and a time or none.
func (s *Sample) parse(family string, line []byte) error {
	s.Family, s.Labels, s.Millis = family, s.Labels[:0], 0
	rest := line[len(family):]
	if rest[0] == '{' {
		var err error
		if rest, err = s.parseLabels(rest[1:]); err != nil {
			return err
		}
	}
	rest = bytes.TrimSpace(rest)
	if end := bytes.IndexAny(rest, " \t"); end >= 0 {
		var err error
		if s.Millis, err = strconv.ParseInt(string(bytes.TrimSpace(rest[end:])), 10, 64); err != nil {
			return errors.New("its time is no number")
		}
		rest = rest[:end]
	}
	value, err := strconv.ParseFloat(string(rest), 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return errors.New("its value is no number")
	}
	s.Value = value
	return nil
}

// parseLabels reads up to the closing brace and returns what follows it.
func (s *Sample) parseLabels(rest []byte) ([]byte, error) {
	for {
		rest = bytes.TrimLeft(rest, " \t,")
		if len(rest) > 0 && rest[0] == '}' {
			return rest[1:], nil
		}
		name, after, found := bytes.Cut(rest, []byte(`="`))
		if !found {
			return nil, errors.New(`its labels do not end: want name="value" or a closing brace`)
		}
		end, escaped := closing(after)
		if end < 0 {
			return nil, errors.New("a label's value has no closing quote")
		}
		if len(s.Labels) == mostLabels {
			return nil, fmt.Errorf("it has more than %d labels", mostLabels)
		}
		value := after[:end]
		if escaped {
			value = unescape(value)
		}
		s.Labels = append(s.Labels, Label{Name: bytes.TrimSpace(name), Value: value})
		rest = after[end+1:]
	}
}

// closing returns where the closing quote of a label's value is, -1 for nowhere, and whether there is a
// backslash before it.
func closing(text []byte) (end int, escaped bool) {
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\\':
			escaped = true
			i++
		case '"':
			return i, escaped
		}
	}
	return -1, escaped
}

// unescape undoes what the format escapes: backslash, quote and newline.
func unescape(value []byte) []byte {
	plain := make([]byte, 0, len(value))
	for i := 0; i < len(value); i++ {
		if value[i] == '\\' && i+1 < len(value) {
			i++
			if value[i] == 'n' {
				plain = append(plain, '\n')
				continue
			}
		}
		plain = append(plain, value[i])
	}
	return plain
}
