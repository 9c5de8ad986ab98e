package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/myriad-fleet/myriad/test/bench/figures"
	"github.com/myriad-fleet/myriad/test/bench/sampling"
	"github.com/myriad-fleet/myriad/test/usage"
)

const (
	// budgetSamplingCPU and budgetSamplingMemory are what sampling 100 guests may take over an idle agent.
	budgetSamplingCPU    = 50 // millicores
	budgetSamplingMemory = 40 // MiB
	// samplingWarm is three periods: certificates are made in the first, rates known from the second, and the
	// heap has grown to what it needs by the third.
	samplingWarm = 50 * time.Second
	// samplingCalm is how long guests must stay as they are until every other sample of them is left out.
	samplingCalm = 150 * time.Second
	// recordedPages is seen from the root of the repository, where benchmarks run.
	recordedPages = "internal/load/testdata"
)

// roles that this program has beside that of the benchmark, by its first argument.
var roles = map[string]func(ctx context.Context, dir string) error{
	"serve-pages": func(ctx context.Context, dir string) error {
		return sampling.Serve(ctx, dir, recordedPages, func() { fmt.Println("ready") })
	},
	"sample": sample,
}

// sample when asked to, and say of how many guests all is known, a line for each line of the input.
func sample(ctx context.Context, dir string) error {
	sampler := sampling.NewSampler(dir)
	fmt.Println("ready")
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		if lines.Text() == "begin" {
			go sampler.Run(ctx)
		}
		fmt.Println(sampler.Whole())
	}
	return lines.Err()
}

// benchAgentLoad measures what sampling the load of 100 guests costs a process: of all that it reads and
// nothing else. Who serves the pages is another one.
func benchAgentLoad(ctx context.Context, _ *bench) (results []figures.Result, err error) {
	dir, err := os.MkdirTemp("", "myriad-")
	if err != nil {
		return nil, fmt.Errorf("make a directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := sampling.Make(dir); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if _, err := startRole(ctx, "serve-pages", dir); err != nil {
		return nil, err
	}
	sampler, err := startRole(ctx, "sample", dir)
	if err != nil {
		return nil, err
	}
	idle, err := sampler.measure(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := sampler.ask("begin"); err != nil {
		return nil, err
	}
	if err := settle(ctx, samplingWarm); err != nil {
		return nil, err
	}
	busy, err := sampler.measure(ctx)
	if err != nil {
		return nil, err
	}
	if err := settle(ctx, samplingCalm-cpuWindow); err != nil {
		return nil, err
	}
	quiet, err := sampler.measure(ctx)
	if err != nil {
		return nil, err
	}
	if whole, err := sampler.ask("count"); err != nil || whole != strconv.Itoa(sampling.Guests) {
		return nil, errors.Join(err, fmt.Errorf("all is known of %s of %d guests: what was measured is not worth telling", whole, sampling.Guests))
	}
	name := fmt.Sprintf("sampling the load of %d Zonal guests, ", sampling.Guests)
	return []figures.Result{
		figures.Bound(name+"CPU over idle while they change", "millicores", busy.cpu-idle.cpu, budgetSamplingCPU),
		figures.Bound(name+"CPU over idle while they stay as they are", "millicores", quiet.cpu-idle.cpu, budgetSamplingCPU),
		figures.Bound(name+"PSS over idle", "MiB", max(busy.pss, quiet.pss)-idle.pss, budgetSamplingMemory),
		figures.Bound(name+"RSS over idle", "MiB", max(busy.rss, quiet.rss)-idle.rss, budgetSamplingMemory),
		figures.Report("the same process before, PSS", "MiB", idle.pss),
	}, nil
}

// role is this program in another process.
type role struct {
	name string
	pid  int
	in   io.Writer
	out  *bufio.Scanner
}

// startRole starts one that ends with the context, and waits until it is ready.
func startRole(ctx context.Context, name, dir string) (*role, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	command := exec.CommandContext(ctx, self, name, dir)
	command.Stderr = os.Stderr
	// Whatever happens to the benchmark, its processes end with it.
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	in, inErr := command.StdinPipe()
	out, outErr := command.StdoutPipe()
	if err := errors.Join(inErr, outErr, command.Start()); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	r := &role{name: name, pid: command.Process.Pid, in: in, out: bufio.NewScanner(out)}
	context.AfterFunc(ctx, func() { _ = command.Wait() }) // it was killed
	if line, err := r.read(); err != nil || line != "ready" {
		return nil, errors.Join(err, fmt.Errorf("%s says %q, want ready", name, line))
	}
	return r, nil
}

func (r *role) read() (string, error) {
	if !r.out.Scan() {
		return "", fmt.Errorf("%s has ended: %w", r.name, errors.Join(io.ErrUnexpectedEOF, r.out.Err()))
	}
	return strings.TrimSpace(r.out.Text()), nil
}

func (r *role) ask(line string) (string, error) {
	if _, err := fmt.Fprintln(r.in, line); err != nil {
		return "", fmt.Errorf("ask %s: %w", r.name, err)
	}
	return r.read()
}

// taken is what a process takes: millicores over cpuWindow, and MiB at its end.
type taken struct{ cpu, pss, rss float64 }

func (r *role) measure(ctx context.Context) (taken, error) {
	used, err := cpuOver(ctx, map[string]int{r.name: r.pid})
	if err != nil {
		return taken{}, err
	}
	proportional, pssErr := usage.PSS(r.pid)
	resident, rssErr := usage.RSS(r.pid)
	return taken{cpu: used[r.name], pss: proportional, rss: resident}, errors.Join(pssErr, rssErr)
}
