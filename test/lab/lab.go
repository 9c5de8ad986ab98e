package lab

import (
	"fmt"
	"os"
	"path/filepath"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/utils/clock"

	"github.com/myriad-fleet/myriad/internal/runtime/process"
)

// name of the network namespace and of the cgroup, and the beginning of the names of links.
const name = "myriad-lab"

// DefaultDir is where the lab lies when MYRIAD_LAB names no other directory.
const DefaultDir = "/var/lib/" + name

// Zones of the lab, with one node each.
func Zones() []string { return []string{"a", "b", "c"} }

// NodeName of the node of a zone.
func NodeName(zone string) string { return "lab-" + zone }

// Lab is the lab of a directory, running or not.
type Lab struct {
	dir    string
	report func(format string, arguments ...any)
	clock  clock.Clock
}

// Open returns the lab of a directory, which need not exist yet; empty for $MYRIAD_LAB, else DefaultDir.
func Open(dir string) (*Lab, error) {
	if dir == "" {
		dir = os.Getenv("MYRIAD_LAB")
	}
	if dir == "" {
		dir = DefaultDir
	}
	absolute, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("lab %s: %w", dir, err)
	}
	return &Lab{dir: absolute, report: func(string, ...any) {}, clock: clock.RealClock{}}, nil
}

// Report has the lab tell what it does, a line for each step.
func (l *Lab) Report(report func(format string, arguments ...any)) { l.report = report }

// Dir of the lab.
func (l *Lab) Dir() string { return l.dir }

// Kubeconfig is the path of a kubeconfig for an administrator of the cell. It works on the host.
func (l *Lab) Kubeconfig() string { return l.path("kubeconfig") }

// AgentUser is the name under which the cell knows the holder of AgentKubeconfig. It has no rights but those
// that somebody gives it, see 'myriad cell access'.
const AgentUser = "myriad-agent"

// AgentKubeconfig is the path of a kubeconfig for AgentUser. It works on the host.
func (l *Lab) AgentKubeconfig() string { return l.path("agent.kubeconfig") }

// Client of the cell for its administrator.
func (l *Lab) Client() (*kubernetes.Clientset, error) {
	config, err := clientcmd.BuildConfigFromFlags("", l.Kubeconfig())
	if err != nil {
		return nil, fmt.Errorf("lab %s: read its kubeconfig: %w; run 'make lab-up'", l.dir, err)
	}
	config.QPS, config.Burst = 100, 200
	return kubernetes.NewForConfig(config)
}

func (l *Lab) path(elements ...string) string {
	return filepath.Join(append([]string{l.dir}, elements...)...)
}

func (l *Lab) supervisorDir() string { return l.path("supervisor") }

func (l *Lab) supervisor() *process.Client { return process.NewClient(l.supervisorDir()) }

// enforcerSocket is where pods' network policies are asked for.
func (l *Lab) enforcerSocket() string { return l.path("policy.sock") }

// node is where one zone's node keeps what is its own.
func (l *Lab) node(zone string) node { return newNode(l.path("zones", zone), zone) }
