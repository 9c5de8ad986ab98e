package fleet

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Process of a fleet.
type Process struct {
	PID int
	// Instance is <runtime directory>/<id>/<component> below the home, such as
	// cells/hz-1/runtime/x7k2m9p4qa/etcd-a or platform/hub/etcd-hub. Empty for the platform's own
	// supervisor and for commands.
	Instance string
	// CommandLine with spaces between the arguments.
	CommandLine string
}

// Kill ends the process at once, as the kernel's out-of-memory killer would.
func (p Process) Kill() error {
	if err := syscall.Kill(p.PID, syscall.SIGKILL); err != nil {
		return fmt.Errorf("kill -9 %d (%s): %w", p.PID, p.Instance, err)
	}
	return nil
}

// Instances returns the processes that the fleet's supervisors have started, by Instance.
func (f *Fleet) Instances() (map[string]Process, error) {
	all, err := f.Strays()
	if err != nil {
		return nil, err
	}
	instances := map[string]Process{}
	for _, process := range all {
		if process.Instance != "" {
			instances[process.Instance] = process
		}
	}
	return instances, nil
}

// PIDs returns the process ids by Instance of what lies below a directory of the home, such as
// "cells" for all guests or "cells/hz-1/runtime/x7k2m9p4qa/" for one.
func (f *Fleet) PIDs(directory string) (map[string]int, error) {
	instances, err := f.Instances()
	if err != nil {
		return nil, err
	}
	pids := map[string]int{}
	for instance, process := range instances {
		if strings.HasPrefix(instance, directory) {
			pids[instance] = process.PID
		}
	}
	return pids, nil
}

// Supervisor of the platform: it parents the hub, the agents, the gateways and the cells' supervisors.
func (f *Fleet) Supervisor() (Process, error) {
	all, err := f.Strays()
	if err != nil {
		return Process{}, err
	}
	for _, process := range all {
		if process.Instance == "" && strings.Contains(process.CommandLine, " supervisor --dir "+f.Home+"/platform") {
			return process, nil
		}
	}
	return Process{}, errors.New("the platform has no supervisor")
}

// Strays returns every process that names the home in its environment or its arguments.
func (f *Fleet) Strays() ([]Process, error) {
	directories, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var found []Process
	for _, directory := range directories {
		pid, err := strconv.Atoi(filepath.Base(directory))
		if err != nil || pid == os.Getpid() || zombie(directory) {
			continue
		}
		environment, _ := os.ReadFile(directory + "/environ") // gone, or another user's: not ours
		arguments, _ := os.ReadFile(directory + "/cmdline")
		if !strings.Contains(string(environment), f.Home+"/") && !strings.Contains(string(arguments), f.Home+"/") {
			continue
		}
		process := Process{PID: pid, CommandLine: strings.ReplaceAll(strings.TrimRight(string(arguments), "\x00"), "\x00", " ")}
		for variable := range strings.SplitSeq(string(environment), "\x00") {
			if instance, ok := strings.CutPrefix(variable, "MYRIAD_INSTANCE="+f.Home+"/"); ok {
				process.Instance = instance
			}
		}
		found = append(found, process)
	}
	return found, nil
}

func zombie(directory string) bool {
	stat, err := os.ReadFile(directory + "/stat")
	if err != nil {
		return true
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return strings.HasPrefix(rest, "Z") || strings.HasPrefix(rest, "X")
}

// network that the home has claimed; zero when it never came up.
func (f *Fleet) network() (netip.Prefix, error) {
	text, err := os.ReadFile(filepath.Join(f.Home, "home.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return netip.Prefix{}, nil
	}
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("read the home's network: %w", err)
	}
	var settings struct {
		Network netip.Prefix `json:"network"`
	}
	if err := json.Unmarshal(text, &settings); err != nil {
		return netip.Prefix{}, fmt.Errorf("read the home's network: %w", err)
	}
	return settings.Network, nil
}

// listeners returns the TCP addresses in a network that something listens on.
func listeners(network netip.Prefix) ([]netip.AddrPort, error) {
	file, err := os.Open("/proc/net/tcp")
	if err != nil {
		return nil, fmt.Errorf("list listeners: %w", err)
	}
	defer func() { _ = file.Close() }()
	var found []netip.AddrPort
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		const listening = "0A" // TCP_LISTEN in include/net/tcp_states.h
		fields := strings.Fields(lines.Text())
		if len(fields) < 4 || fields[3] != listening {
			continue
		}
		if address, ok := parseAddress(fields[1]); ok && network.IsValid() && network.Contains(address.Addr()) {
			found = append(found, address)
		}
	}
	return found, lines.Err()
}

// parseAddress reads the form of /proc/net/tcp: the address as a word of the host's byte order and
// the port, both hexadecimal.
func parseAddress(text string) (netip.AddrPort, bool) {
	host, port, _ := strings.Cut(text, ":")
	word, err := hex.DecodeString(host)
	if err != nil || len(word) != 4 {
		return netip.AddrPort{}, false
	}
	number, err := strconv.ParseUint(port, 16, 16)
	if err != nil {
		return netip.AddrPort{}, false
	}
	var octets [4]byte
	binary.NativeEndian.PutUint32(octets[:], binary.BigEndian.Uint32(word))
	return netip.AddrPortFrom(netip.AddrFrom4(octets), uint16(number)), true
}
