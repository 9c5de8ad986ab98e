package cli

import (
	"cmp"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/term"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/local"
)

const (
	// requestTimeout bounds one request to the hub: a local hub answers in milliseconds.
	requestTimeout = 15 * time.Second
	// pollInterval between two looks at what is being waited for.
	pollInterval = 250 * time.Millisecond
)

// streams are where a command reads and writes. Results go to out, progress and errors to err.
type streams struct {
	in  io.Reader
	out io.Writer
	err io.Writer
}

// globalFlags are the flags that every command has.
type globalFlags struct {
	home       string
	kubeconfig string
	namespace  string
	output     string
	timeout    time.Duration
}

// session is what every command shares: where it reads and writes, the global flags, and its ways
// out: to the hub, to the clock, to the terminal and to other programs.
type session struct {
	streams
	globalFlags

	clock clock.Clock
	// dial opens the hub that a kubeconfig names.
	dial func(config *rest.Config) (client.Client, error)
	// width of the terminal that progress goes to, in characters; 0 when it is no terminal.
	width func() int
	// kubectl finds the program for a version of Kubernetes.
	kubectl func(home, version string) (string, error)
	// processes lists those of the local fleet.
	processes func(ctx context.Context, home string) ([]local.Process, error)
	// execute runs another program with the session's streams and returns its exit code.
	execute func(ctx context.Context, program string, arguments, environment []string) (int, error)
}

func newSession(s streams) *session {
	session := &session{streams: s, clock: clock.RealClock{}, dial: dialHub, kubectl: findKubectl, processes: fleetProcesses}
	session.width = func() int { return terminalWidth(s.err) }
	session.execute = session.runProgram
	return session
}

// hubKubeconfig is the file that says how to reach the hub.
func (s *session) hubKubeconfig() string {
	return cmp.Or(s.kubeconfig, filepath.Join(s.home, "kubeconfig"))
}

// hubConfig reads how to reach the hub.
func (s *session) hubConfig() (*rest.Config, error) {
	file := s.hubKubeconfig()
	if _, err := os.Stat(file); errors.Is(err, os.ErrNotExist) {
		return nil, fail(exitNoFleet, "no fleet here: %s does not exist; run 'myriad up', or point --home or --kubeconfig at a fleet", file)
	}
	config, err := clientcmd.BuildConfigFromFlags("", file)
	if err != nil {
		return nil, fail(exitUsage, "read kubeconfig %s: %w; run 'myriad up' to write it anew", file, err)
	}
	config.Timeout = requestTimeout
	config.UserAgent = "myriad/" + clientVersion()
	config.WarningHandler = rest.NewWarningWriter(s.err, rest.WarningWriterOptions{Deduplicate: true})
	return config, nil
}

// hub returns a client of the hub. It sends nothing yet.
func (s *session) hub() (client.Client, error) {
	config, err := s.hubConfig()
	if err != nil {
		return nil, err
	}
	return s.dial(config)
}

func newScheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	return scheme, errors.Join(corev1.AddToScheme(scheme), v1alpha1.AddToScheme(scheme))
}

// dialHub makes a client that knows its kinds by itself: discovery would cost each command two requests.
func dialHub(config *rest.Config) (client.Client, error) {
	scheme, err := newScheme()
	if err != nil {
		return nil, err
	}
	mapper := meta.NewDefaultRESTMapper(nil)
	for _, kind := range []string{"Region", "Cell", "Release", "ClusterTemplate"} {
		mapper.Add(v1alpha1.GroupVersion.WithKind(kind), meta.RESTScopeRoot)
	}
	// The plural of Gearbox is none that the mapper guesses.
	resource := v1alpha1.GroupVersion.WithResource
	mapper.AddSpecific(v1alpha1.GroupVersion.WithKind("Gearbox"), resource("gearboxes"), resource("gearbox"), meta.RESTScopeRoot)
	for _, kind := range []string{"Cluster", "ControlPlane", "ClusterCredential"} {
		mapper.Add(v1alpha1.GroupVersion.WithKind(kind), meta.RESTScopeNamespace)
	}
	mapper.Add(corev1.SchemeGroupVersion.WithKind("Namespace"), meta.RESTScopeRoot)
	mapper.Add(corev1.SchemeGroupVersion.WithKind("Event"), meta.RESTScopeNamespace)
	return client.New(config, client.Options{Scheme: scheme, Mapper: mapper})
}

// terminalWidth is 0 when out is no terminal.
func terminalWidth(out io.Writer) int {
	file, ok := out.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return 0
	}
	width, _, err := term.GetSize(int(file.Fd()))
	if err != nil || width <= 0 {
		return 80
	}
	return width
}
