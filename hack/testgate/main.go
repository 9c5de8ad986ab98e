// Command testgate fails when what `go test -json` wrote holds a skip that nobody expects, or
// when nothing ran: both look like success otherwise.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
)

func main() {
	expected := flag.String("expected", "hack/expected-skips.txt", "file that lists the skips to expect")
	flag.Parse()
	if err := run(*expected, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "testgate:", err)
		os.Exit(1)
	}
}

// run checks each file, which holds the events of one suite.
func run(expected string, files []string) error {
	if len(files) == 0 {
		return errors.New("no file with test events was named")
	}
	list, err := os.Open(expected)
	if err != nil {
		return fmt.Errorf("read which skips to expect: %w", err)
	}
	defer list.Close()
	allowed, err := parseExpected(list)
	if err != nil {
		return fmt.Errorf("read which skips to expect: %s: %w", expected, err)
	}
	var problems []error
	for _, file := range files {
		if err := checkFile(file, allowed); err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", file, err))
		}
	}
	return errors.Join(problems...)
}

// checkFile checks the events of one suite.
func checkFile(path string, allowed map[string]bool) error {
	events, err := os.Open(path)
	if err != nil {
		return err
	}
	defer events.Close()
	return check(events, allowed)
}

// parseExpected reads lines of a package, a test and a reason, which must be there.
func parseExpected(list io.Reader) (map[string]bool, error) {
	allowed := map[string]bool{}
	lines := bufio.NewScanner(list)
	for number := 1; lines.Scan(); number++ {
		fields := strings.Fields(lines.Text())
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		if len(fields) < 3 {
			return nil, fmt.Errorf("line %d: write a package, a test and the reason, not %q", number, lines.Text())
		}
		allowed[fields[0]+" "+fields[1]] = true
	}
	return allowed, lines.Err()
}

// event is what `go test -json` tells; see 'go doc test2json'.
type event struct {
	Action  string `json:"Action"`
	Package string `json:"Package"`
	Test    string `json:"Test"`
}

// check reads the events of one suite and lists its unexpected skips.
func check(events io.Reader, allowed map[string]bool) error {
	var skipped []string
	passed := 0
	for decoder := json.NewDecoder(events); ; {
		var e event
		err := decoder.Decode(&e)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("read test events: %w", err)
		}
		switch {
		case e.Test == "": // of a package as a whole; one without tests is skipped
		case e.Action == "pass":
			passed++
		case e.Action == "skip" && !allowed[e.Package+" "+e.Test]:
			skipped = append(skipped, e.Package+" "+e.Test)
		}
	}
	if len(skipped) > 0 {
		return fmt.Errorf("skipped, which hack/expected-skips.txt does not allow: %s", strings.Join(skipped, ", "))
	}
	if passed == 0 {
		return errors.New("no test passed: is this the right suite?")
	}
	return nil
}
