package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/runtime/kubernetes/objects"
	"github.com/myriad-fleet/myriad/test/lab"
)

// laboratory is the ground of the cell that is a Kubernetes cluster, seen by its administrator and by
// this machine's kernel.
type laboratory struct {
	*lab.Lab
	admin *kubernetes.Clientset
}

// theLaboratory of the run; nil unless MYRIAD_E2E_LAB is set.
var theLaboratory *laboratory

// foundUp tells that the lab was up before the run, which then leaves it so.
var foundUp bool

// openLaboratory brings the lab up where the run is to have one.
func openLaboratory() error {
	if os.Getenv("MYRIAD_E2E_LAB") == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), upBudget)
	defer cancel()
	opened, err := lab.Open("")
	if err != nil {
		return err
	}
	if _, notUp := opened.Status(ctx); notUp == nil {
		foundUp = true
	} else if err := opened.Up(ctx); err != nil {
		return err
	}
	admin, err := opened.Client()
	theLaboratory = &laboratory{Lab: opened, admin: admin}
	return err
}

// closeLaboratory takes the lab down again.
func closeLaboratory() error {
	if theLaboratory == nil || foundUp || os.Getenv("MYRIAD_E2E_KEEP_LAB") != "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), upBudget)
	defer cancel()
	if err := theLaboratory.Down(ctx); err != nil {
		return err
	}
	left, err := theLaboratory.Inventory(ctx)
	if err == nil && !left.Empty() {
		err = fmt.Errorf("left after 'lab down': %+v", *left)
	}
	return err
}

// clear removes what a cell that is no more has left in the lab: its guests, which nobody else deletes,
// and the Lease of its agent.
func (l *laboratory) clear(ctx context.Context, cell string) error {
	own := metav1.ListOptions{LabelSelector: v1alpha1.LabelCell + "=" + cell}
	namespaces, err := l.admin.CoreV1().Namespaces().List(ctx, own)
	if err != nil {
		return err
	}
	for _, namespace := range namespaces.Items {
		if err := l.admin.CoreV1().Namespaces().Delete(ctx, namespace.Name, metav1.DeleteOptions{}); err != nil {
			return err
		}
	}
	err = l.admin.CoordinationV1().Leases(objects.SystemNamespace).Delete(ctx, "agent-"+cell, metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	return wait.PollUntilContextCancel(ctx, time.Second/4, true, func(ctx context.Context) (bool, error) {
		namespaces, err := l.admin.CoreV1().Namespaces().List(ctx, own)
		return err == nil && len(namespaces.Items) == 0, err
	})
}

// instances are read from the kernel: of a zone that is dead the cell's API server only knows what was.
func (l *laboratory) instances(_ context.Context, g *guest) (map[string]instance, error) {
	containers, err := l.Containers(g.namespaceInLab())
	if err != nil {
		return nil, err
	}
	running := map[string]instance{}
	for _, container := range containers {
		running[container.Name+"-"+container.Zone] = instance{id: container.ID, pid: container.PID}
	}
	return running, nil
}

// namespaceInLab is where the guest's pods are.
func (g *guest) namespaceInLab() string { return objects.NamespaceName(g.id) }

// hold has the zone's node fail: its kubelet, its containerd, and all containers.
func (l *laboratory) hold(ctx context.Context, _ *guest, zone, mode string) error {
	if mode == "" {
		return l.Restore(ctx, zone)
	}
	return l.Fail(ctx, zone, lab.Mode(mode))
}

// data is the directory of the component's volume.
func (l *laboratory) data(ctx context.Context, g *guest, component string) (string, error) {
	claim, err := l.admin.CoreV1().PersistentVolumeClaims(g.namespaceInLab()).Get(ctx, objects.ClaimName(component), metav1.GetOptions{})
	if err != nil {
		return "", err
	}
	volume, err := l.admin.CoreV1().PersistentVolumes().Get(ctx, claim.Spec.VolumeName, metav1.GetOptions{})
	if err != nil {
		return "", err
	}
	if volume.Spec.Local == nil {
		return "", fmt.Errorf("volume %s is no directory of a node", volume.Name)
	}
	return volume.Spec.Local.Path, nil
}

// files are those of the Secrets.
func (l *laboratory) files(ctx context.Context, g *guest) (map[string][]byte, error) {
	secrets, err := l.admin.CoreV1().Secrets(g.namespaceInLab()).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for _, secret := range secrets.Items {
		for name, content := range secret.Data {
			files[secret.Name+"/"+name] = content
		}
	}
	return files, nil
}

func (l *laboratory) left(ctx context.Context, g *guest) ([]string, error) {
	left, err := g.filesOfCell()
	if err != nil {
		return nil, err
	}
	_, err = l.admin.CoreV1().Namespaces().Get(ctx, g.namespaceInLab(), metav1.GetOptions{})
	if err == nil {
		left = append(left, "namespace "+g.namespaceInLab())
	} else if !apierrors.IsNotFound(err) {
		return nil, err
	}
	containers, err := l.Containers(g.namespaceInLab())
	if err != nil {
		return nil, err
	}
	for _, container := range containers {
		left = append(left, fmt.Sprintf("container %s of pod %s, process %d", container.Name, container.Pod, container.PID))
	}
	volumes, err := l.volumesLeft(ctx, g)
	return append(left, volumes...), err
}

// volumesLeft are volumes of the guest, and directories of volumes that are no more.
func (l *laboratory) volumesLeft(ctx context.Context, g *guest) ([]string, error) {
	pattern := filepath.Join(l.Dir(), "zones", "*", "volumes", "*")
	before, beforeErr := filepath.Glob(pattern)
	volumes, err := l.admin.CoreV1().PersistentVolumes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	after, afterErr := filepath.Glob(pattern)
	var left []string
	for _, volume := range volumes.Items {
		if claim := volume.Spec.ClaimRef; claim != nil && claim.Namespace == g.namespaceInLab() {
			left = append(left, "volume "+volume.Name)
		}
	}
	for _, directory := range after {
		known := func(volume corev1.PersistentVolume) bool { return volume.Name == filepath.Base(directory) }
		// Others may be on their way in or out.
		if slices.Contains(before, directory) && strings.HasPrefix(filepath.Base(directory), "pvc-") && !slices.ContainsFunc(volumes.Items, known) {
			left = append(left, "directory "+directory)
		}
	}
	return left, errors.Join(beforeErr, afterErr)
}
