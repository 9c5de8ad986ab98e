package e2e

import (
	"context"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/runtime/kubernetes/objects"
)

// labFleet is the shared fleet, with a cell in the lab.
func labFleet(t *testing.T) *suite {
	t.Helper()
	if theLaboratory == nil {
		t.Fatal("this test needs a guest in the lab: run 'make e2e-lab', or set MYRIAD_E2E_LAB=1")
	}
	return sharedFleet(t)
}

// steadyInLab is the steady guest, in the lab.
func steadyInLab(t *testing.T) *guest {
	t.Helper()
	labFleet(t)
	return steadyGuest(t)
}

// pods of the guest in the lab, by component.
func (g *guest) pods(t *testing.T) map[string]*corev1.Pod {
	t.Helper()
	list, err := g.lab.admin.CoreV1().Pods(g.namespaceInLab()).List(t.Context(), metav1.ListOptions{LabelSelector: objects.LabelComponent})
	if err != nil {
		t.Fatal(err)
	}
	pods := map[string]*corev1.Pod{}
	for i := range list.Items {
		pods[list.Items[i].Labels[objects.LabelComponent]] = &list.Items[i]
	}
	return pods
}

// order changes what the hub orders of the guest's cell, as one who administers the hub can.
func (g *guest) order(t *testing.T, change func(*v1alpha1.ControlPlaneSpec)) {
	t.Helper()
	// Clean-ups call this too, when the test's own context is over.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), commandLimit)
	defer cancel()
	plane, err := g.controlPlane(ctx)
	if err != nil {
		t.Fatal(err)
	}
	before := client.MergeFrom(plane.DeepCopy())
	change(&plane.Spec)
	if err := g.hub.Patch(ctx, plane, before); err != nil {
		t.Fatal(err)
	}
}

// createChanged creates a cluster in the lab whose order is changed before the cell's agent sees it. It
// is deleted after the test.
func (s *suite) createChanged(t *testing.T, name string, change func(*v1alpha1.ControlPlaneSpec)) *guest {
	t.Helper()
	agent := "platform/cell-" + s.labCell() + "/agent"
	pid := s.pids(t, agent)[agent]
	signal(t, pid, syscall.SIGSTOP)
	defer signal(t, pid, syscall.SIGCONT)
	t.Cleanup(func() { s.deleteCluster(t, "default", name) })
	s.run(t, "cluster", "create", name, "--region", "eu-frankfurt")
	s.run(t, "cluster", "wait", name, "--for", "scheduled")
	g := s.guest(t, "default", name)
	eventually(t, healBudget, "the order of cluster "+name, func(ctx context.Context) (string, bool) {
		_, err := g.controlPlane(ctx)
		return "no order", err == nil
	})
	g.order(t, change)
	return g
}

func signal(t *testing.T, pid int, what syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(pid, what); err != nil {
		t.Fatalf("signal %v to process %d: %v", what, pid, err)
	}
}

// never fails the test when a condition is met within the time.
func never(t *testing.T, within time.Duration, what string, condition func(context.Context) (string, bool)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		if state, met := condition(ctx); met {
			t.Errorf("%s: %s", what, state)
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
