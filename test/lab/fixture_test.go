package lab

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"

	"github.com/myriad-fleet/myriad/test/lab/images"
)

const (
	probeImage = "lab.fleet.myriad.dev/probe:test"
	// patience with a machine that does other things, too.
	patience = 2 * time.Minute
)

// fixture is a running lab with a namespace for the tests' pods.
type fixture struct {
	*Lab
	client    *kubernetes.Clientset
	namespace string
}

func newFixture(ctx context.Context, t *testing.T, l *Lab) *fixture {
	t.Helper()
	client, err := l.Client()
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{Lab: l, client: client, namespace: "lab-test"}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: f.namespace}}
	if _, err := client.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "probe")
	build := exec.CommandContext(ctx, "go", "build", "-o", program, "./probe")
	build.Env = append(build.Environ(), "CGO_ENABLED=0") // its image holds no C library
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the probe: %v: %s", err, output)
	}
	image, err := images.WriteProgram(ctx, probeImage, program, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Import(ctx, image.Archive); err != nil {
		t.Fatal(err)
	}
	f.eventually(ctx, t, "the namespace has its ServiceAccount", func(ctx context.Context) error {
		_, err := client.CoreV1().ServiceAccounts(f.namespace).Get(ctx, "default", metav1.GetOptions{})
		return err
	})
	return f
}

// eventually waits until the condition is met, and fails the test when it never is.
func (f *fixture) eventually(ctx context.Context, t *testing.T, what string, condition func(context.Context) error) {
	t.Helper()
	started := time.Now()
	if err := waitFor(ctx, patience, condition); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	t.Logf("%s: %.1f s", what, time.Since(started).Seconds())
}

// pod of a zone that runs the probe. It stays on its node whatever becomes of it.
func (f *fixture) pod(name, zone string, change func(*corev1.Pod)) *corev1.Pod {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: f.namespace, Labels: map[string]string{"app": name}},
		Spec: corev1.PodSpec{
			NodeSelector:                  map[string]string{"topology.kubernetes.io/zone": zone},
			TerminationGracePeriodSeconds: ptr.To[int64](1),
			AutomountServiceAccountToken:  new(false),
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot: new(true), SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			Containers: []corev1.Container{{
				Name: "probe", Image: probeImage, ImagePullPolicy: corev1.PullIfNotPresent, Command: []string{"probe"},
				Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8080}},
				Resources: corev1.ResourceRequirements{Limits: corev1.ResourceList{
					corev1.ResourceCPU: resource.MustParse("100m"), corev1.ResourceMemory: resource.MustParse("64Mi"),
				}},
				SecurityContext: &corev1.SecurityContext{
					AllowPrivilegeEscalation: new(false), ReadOnlyRootFilesystem: new(true),
					Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
				},
			}},
		},
	}
	if change != nil {
		change(pod)
	}
	return pod
}

// run creates a pod and returns it once it runs.
func (f *fixture) run(ctx context.Context, t *testing.T, pod *corev1.Pod) *corev1.Pod {
	t.Helper()
	if _, err := f.client.CoreV1().Pods(f.namespace).Create(ctx, pod, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	return f.running(ctx, t, pod.Name)
}

// running returns a pod once it is ready and answers.
func (f *fixture) running(ctx context.Context, t *testing.T, name string) *corev1.Pod {
	t.Helper()
	var pod *corev1.Pod
	f.eventually(ctx, t, "pod "+name+" runs", func(ctx context.Context) error {
		var err error
		if pod, err = f.client.CoreV1().Pods(f.namespace).Get(ctx, name, metav1.GetOptions{}); err != nil {
			return err
		}
		if len(pod.Status.ContainerStatuses) == 0 || !pod.Status.ContainerStatuses[0].Ready {
			return fmt.Errorf("it is %s: %v", pod.Status.Phase, pod.Status.Conditions)
		}
		_, err = get(ctx, pod.Status.PodIP, "/caller")
		return err
	})
	return pod
}

// remove deletes a pod and returns when it is gone.
func (f *fixture) remove(ctx context.Context, t *testing.T, name string) {
	t.Helper()
	if err := f.client.CoreV1().Pods(f.namespace).Delete(ctx, name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	f.eventually(ctx, t, "pod "+name+" is gone", func(ctx context.Context) error {
		_, err := f.client.CoreV1().Pods(f.namespace).Get(ctx, name, metav1.GetOptions{})
		return stillThere(err)
	})
}

// stillThere is nil for the error of an object that does not exist.
func stillThere(err error) error {
	if err == nil {
		return fmt.Errorf("it still exists")
	}
	if strings.Contains(err.Error(), "not found") {
		return nil
	}
	return err
}

// service makes a Service for the pod of the same name and returns its ClusterIP.
func (f *fixture) service(ctx context.Context, t *testing.T, name string) string {
	t.Helper()
	service, err := f.client.CoreV1().Services(f.namespace).Create(ctx, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.ServiceSpec{
			Selector: map[string]string{"app": name}, PublishNotReadyAddresses: true,
			Ports: []corev1.ServicePort{{Port: 8080, TargetPort: intstr.FromInt32(8080)}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return service.Spec.ClusterIP
}

// request to a probe; the answer's text.
func request(ctx context.Context, method, address, path, body string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, "http://"+address+":8080"+path, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }() // only read
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return "", err
	}
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s: %s", response.Status, strings.TrimSpace(string(text)))
	}
	return string(text), nil
}

func get(ctx context.Context, address, path string) (string, error) {
	return request(ctx, http.MethodGet, address, path, "")
}

// reaches says whether a pod gets a connection to an address.
func reaches(ctx context.Context, from *corev1.Pod, to string, port int) error {
	_, err := get(ctx, from.Status.PodIP, fmt.Sprintf("/dial?address=%s:%d", to, port))
	return err
}

// nodeIs waits until a zone's node is Ready, or is not.
func (f *fixture) nodeIs(ctx context.Context, t *testing.T, zone string, ready bool) {
	t.Helper()
	f.eventually(ctx, t, fmt.Sprintf("node of zone %s ready: %v", zone, ready), func(ctx context.Context) error {
		node, err := f.client.CoreV1().Nodes().Get(ctx, NodeName(zone), metav1.GetOptions{})
		if err != nil {
			return err
		}
		if is := readiness(node); (is == string(corev1.ConditionTrue)) != ready {
			return fmt.Errorf("Ready is %s", is)
		}
		return nil
	})
}

func inNetwork(network netip.Prefix, address string) bool {
	parsed, err := netip.ParseAddr(address)
	return err == nil && network.Contains(parsed)
}

// openLab opens the lab of the tests, or skips them.
func openLab(t *testing.T) *Lab {
	t.Helper()
	if os.Getenv("MYRIAD_LAB_TEST") != "1" {
		t.Skip("set MYRIAD_LAB_TEST=1 to make a lab on this machine, and remove it")
	}
	l, err := Open("")
	if err != nil {
		t.Fatal(err)
	}
	l.Report(t.Logf)
	return l
}
