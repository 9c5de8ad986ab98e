package lab

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Inventory is everything of the lab that the host can see. After Down all of it is empty.
type Inventory struct {
	Processes  []string // pid and command line
	Namespaces []string
	Links      []string
	Routes     []string
	Rules      []string // tables of nftables, which iptables' rules are in, too
	Mounts     []string
	Cgroups    []string
	Files      []string // what is in the lab's directory, at its first level
}

// Empty says that nothing is left.
func (i *Inventory) Empty() bool {
	return len(i.Processes)+len(i.Namespaces)+len(i.Links)+len(i.Routes)+len(i.Rules)+len(i.Mounts)+len(i.Cgroups)+len(i.Files) == 0
}

// Inventory lists what there is of the lab.
func (l *Lab) Inventory(ctx context.Context) (*Inventory, error) {
	i := &Inventory{}
	for _, list := range []struct {
		what  string
		items *[]string
		list  func(context.Context) ([]string, error)
	}{
		{"processes", &i.Processes, func(context.Context) ([]string, error) { return describeProcesses() }},
		{"namespaces", &i.Namespaces, func(context.Context) ([]string, error) { return filepath.Glob(namespaceFile()) }},
		{"links", &i.Links, listLinks},
		{"routes", &i.Routes, listRoutes},
		{"rules", &i.Rules, listRules},
		{"mounts", &i.Mounts, func(context.Context) ([]string, error) { return l.listMounts() }},
		{"cgroups", &i.Cgroups, func(context.Context) ([]string, error) { return cgroupDirectories(name) }},
		{"files", &i.Files, func(context.Context) ([]string, error) { return l.listFiles() }},
	} {
		items, err := list.list(ctx)
		if err != nil {
			return nil, fmt.Errorf("lab %s: list %s: %w", l.dir, list.what, err)
		}
		*list.items = items
	}
	return i, nil
}

func describeProcesses() ([]string, error) {
	pids, err := processes()
	var described []string
	for _, pid := range pids {
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err == nil {
			described = append(described, fmt.Sprintf("%d %s", pid, strings.ReplaceAll(strings.TrimRight(string(line), "\x00"), "\x00", " ")))
		}
	}
	return described, err
}

func listLinks(ctx context.Context) ([]string, error) {
	output, err := exec.CommandContext(ctx, "ip", "-oneline", "link", "show").Output()
	return linesWith(string(output), name), err
}

func listRoutes(ctx context.Context) ([]string, error) {
	routes, err := hostRoutes(ctx)
	var found []string
	for _, r := range routes {
		destination, parseErr := netip.ParsePrefix(r.Destination)
		if parseErr == nil && r.Device == hostLink {
			found = append(found, fmt.Sprintf("%s dev %s", destination, r.Device))
		}
	}
	return found, err
}

// listRules lists the tables that kube-proxy and the lab would have made on the host by mistake.
func listRules(ctx context.Context) ([]string, error) {
	output, err := exec.CommandContext(ctx, "nft", "list", "tables").Output()
	return append(linesWith(string(output), name), linesWith(string(output), "kube-proxy")...), err
}

func (l *Lab) listMounts() ([]string, error) {
	mounts, err := os.ReadFile("/proc/self/mounts")
	return append(linesWith(string(mounts), l.dir+"/"), linesWith(string(mounts), namespaceFile())...), err
}

func (l *Lab) listFiles() ([]string, error) {
	entries, err := os.ReadDir(l.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	files := []string{l.dir}
	for _, entry := range entries {
		files = append(files, l.path(entry.Name()))
	}
	return files, err
}

func linesWith(text, part string) []string {
	var found []string
	for scanner := bufio.NewScanner(strings.NewReader(text)); scanner.Scan(); {
		if strings.Contains(scanner.Text(), part) {
			found = append(found, scanner.Text())
		}
	}
	return found
}
