package local

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/google/renameio/v2"
	"k8s.io/utils/clock"
)

// Home is the directory that holds all state of one local fleet.
type Home struct {
	// Dir is its absolute path.
	Dir string
	// Settings are what home.json holds.
	Settings Settings

	clock clock.PassiveClock
}

// Settings of a home, kept in home.json.
type Settings struct {
	// Network is the 127.N.0.0/16 that the home has claimed.
	Network netip.Prefix `json:"network"`
	// HubRevision is the render revision that the hub was first made with: new defaults in new code do
	// not restart it.
	HubRevision int64 `json:"hubRevision,omitempty"`
	// LeafLifetime of the guests' leaf certificates, as a Go duration; empty for the agent's default.
	LeafLifetime string `json:"leafLifetime,omitempty"`
	// KubernetesCells are the cells that joined beside those of the default fleet.
	KubernetesCells []KubernetesCell `json:"kubernetesCells,omitempty"`
}

// DefaultHome is $MYRIAD_HOME or ~/.myriad.
func DefaultHome() (string, error) {
	if dir := os.Getenv("MYRIAD_HOME"); dir != "" {
		return dir, nil
	}
	dir, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("find the home directory: %w; set MYRIAD_HOME", err)
	}
	return filepath.Join(dir, ".myriad"), nil
}

// OpenHome opens a home that exists. It returns an error that wraps os.ErrNotExist when there is none.
func OpenHome(dir string) (*Home, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("home %s: %w", dir, err)
	}
	// Processes carry the resolved path: a link to the home must find them, too.
	resolved, err := filepath.EvalSymlinks(abs)
	if err != nil {
		return nil, fmt.Errorf("home %s: %w; run 'myriad up'", abs, err)
	}
	abs = resolved
	info, err := os.Stat(abs)
	if err != nil {
		return nil, fmt.Errorf("home %s: %w; run 'myriad up'", abs, err)
	}
	if err := checkOwner(abs, info); err != nil {
		return nil, err
	}
	home := &Home{Dir: abs, clock: clock.RealClock{}}
	return home, home.load()
}

// createHome opens a home, made when it is missing.
func createHome(dir string) (*Home, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("home %s: %w", dir, err)
	}
	if err := os.MkdirAll(abs, 0o700); err != nil {
		return nil, fmt.Errorf("make home: %w; set MYRIAD_HOME to a directory that you may write to", err)
	}
	return OpenHome(abs)
}

// checkOwner refuses somebody else's home: processes of two users in one home could not stop each other.
func checkOwner(dir string, info os.FileInfo) error {
	if !info.IsDir() {
		return fmt.Errorf("home %s is not a directory; set MYRIAD_HOME to one", dir)
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(stat.Uid) == os.Geteuid() {
		return nil
	}
	owner := strconv.Itoa(int(stat.Uid))
	if u, err := user.LookupId(owner); err == nil {
		owner = u.Username
	}
	return fmt.Errorf("home %s belongs to user %s; run as %s, or set MYRIAD_HOME to a directory of your own", dir, owner, owner)
}

// load reads home.json. A half-written one is set aside: the network is found again among the
// machine's claims, the rest has defaults.
func (h *Home) load() error {
	file := h.path("home.json")
	text, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read home: %w", err)
	}
	if err := json.Unmarshal(text, &h.Settings); err != nil {
		h.Settings = Settings{}
		if err := os.Rename(file, file+".broken"); err != nil {
			return fmt.Errorf("set aside broken %s: %w", file, err)
		}
	}
	return nil
}

func (h *Home) save() error {
	text, err := json.MarshalIndent(h.Settings, "", "  ")
	if err != nil {
		return fmt.Errorf("write home: %w", err)
	}
	if err := renameio.WriteFile(h.path("home.json"), append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("write home: %w", err)
	}
	return nil
}

func (h *Home) path(elements ...string) string {
	return filepath.Join(append([]string{h.Dir}, elements...)...)
}

// Kubeconfig is the operator's access to the hub.
func (h *Home) Kubeconfig() string { return h.path("kubeconfig") }

// PlatformDir is the process runtime's directory for the hub, agents and gateways.
func (h *Home) PlatformDir() string { return h.path("platform") }

// DistributionDir links to the binaries that the fleet runs, all versions that its guests may be
// pinned to: it does not change when a checkout is cleaned.
func (h *Home) DistributionDir() string { return h.path("distro") }

// RuntimeDir is the process runtime's directory of a cell.
func (h *Home) RuntimeDir(cell string) string { return h.path("cells", cell, "runtime") }

// AgentDir holds the state of a cell's agent.
func (h *Home) AgentDir(cell string) string { return h.path("cells", cell, "agent") }

// GatewayDir holds the state of a region's gateway; instance counts from 1.
func (h *Home) GatewayDir(region string, instance int) string {
	return h.path("gateways", region+"-"+strconv.Itoa(instance))
}
