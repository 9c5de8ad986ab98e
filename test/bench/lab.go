package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/runtime/kubernetes/objects"
	"github.com/myriad-fleet/myriad/test/lab"
)

const (
	// labRegion is the region whose guests all run in the lab; labTwin is the cell of the default fleet
	// that would take some of them.
	labRegion, labTwin = "eu-frankfurt", "fra-1"
	// warmUp is the number of the guest that is never measured.
	warmUp = 1000
)

// laboratory is the lab as the only cell of a region, and its administrator.
type laboratory struct {
	*lab.Lab
	client client.Client
	// suffix that tells the names of this run from those of others in the same lab.
	suffix string
	// foundUp tells that there was a lab before, which is left up.
	foundUp bool
	// order of a guest of the fleet, which those by hand are rendered from.
	order v1alpha1.ControlPlaneSpec
}

// openLab brings the lab up, unless it is, for the fleet of a home. The laboratory that it returns must
// be closed, even with an error.
func openLab(ctx context.Context, home string) (*laboratory, error) {
	opened, err := lab.Open("")
	if err != nil {
		return nil, err
	}
	// What is not up may still be somebody's: Down removes the directory.
	_, notThere := os.Stat(opened.Dir())
	l := &laboratory{Lab: opened, foundUp: notThere == nil, suffix: strings.TrimPrefix(filepath.Base(home), "myriad-")}
	if _, notUp := opened.Status(ctx); notUp != nil {
		if err := opened.Up(ctx); err != nil {
			return l, err
		}
	}
	config, err := clientcmd.BuildConfigFromFlags("", opened.Kubeconfig())
	if err != nil {
		return l, fmt.Errorf("read the lab's kubeconfig: %w", err)
	}
	config.QPS = -1
	if l.client, err = client.New(config, client.Options{Scheme: scheme.Scheme}); err != nil {
		return l, fmt.Errorf("connect to the lab: %w", err)
	}
	return l, nil
}

// cell of the fleet in the lab.
func (l *laboratory) cell() string { return "lab-" + l.suffix }

// handCell is what the objects of control planes by hand are labelled with. It is no Cell of the fleet.
func (l *laboratory) handCell() string { return "by-hand-" + l.suffix }

// upFlags of the fleet.
func (l *laboratory) upFlags() []string {
	return []string{"--cell", l.cell() + "@" + labRegion + "=" + l.AgentKubeconfig()}
}

// close removes what this run has left in the lab, and the lab if it was not up before.
func (l *laboratory) close(ctx context.Context) error {
	if !l.foundUp {
		return l.Down(ctx)
	}
	if l.client == nil {
		return nil
	}
	var problems []error
	for _, cell := range []string{l.cell(), l.handCell()} {
		var namespaces corev1.NamespaceList
		problems = append(problems, l.client.List(ctx, &namespaces, client.MatchingLabels{v1alpha1.LabelCell: cell}))
		for _, namespace := range namespaces.Items {
			problems = append(problems, l.remove(ctx, namespace.Name))
		}
	}
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: objects.SystemNamespace, Name: "agent-" + l.cell()}}
	problems = append(problems, client.IgnoreNotFound(l.client.Delete(ctx, lease)))
	if err := errors.Join(problems...); err != nil {
		return fmt.Errorf("clear the lab %s: %w", l.Dir(), err)
	}
	return nil
}

// remove a namespace with all that is in it, and wait until its volumes are gone, too.
func (l *laboratory) remove(ctx context.Context, namespace string) error {
	ctx, cancel := context.WithTimeout(ctx, readyDeadline)
	defer cancel()
	err := l.client.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("delete namespace %s: %w", namespace, err)
	}
	if err := l.client.DeleteAllOf(ctx, &corev1.Pod{}, client.InNamespace(namespace), client.GracePeriodSeconds(1)); err != nil {
		return fmt.Errorf("kill the pods of namespace %s: %w", namespace, err)
	}
	var left []string
	err = wait.PollUntilContextCancel(ctx, pollMany, true, func(ctx context.Context) (done bool, err error) {
		left, err = l.left(ctx, namespace)
		return len(left) == 0, err
	})
	if err != nil {
		return fmt.Errorf("remove namespace %s: %s are left: %w", namespace, strings.Join(left, ", "), err)
	}
	return nil
}

// left lists what the lab's cluster has of a namespace: itself, and volumes.
func (l *laboratory) left(ctx context.Context, namespace string) ([]string, error) {
	var left []string
	err := l.client.Get(ctx, client.ObjectKey{Name: namespace}, &corev1.Namespace{})
	if err == nil {
		left = append(left, "namespace "+namespace)
	} else if !apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("read namespace %s: %w", namespace, err)
	}
	volumes, err := l.volumes(ctx, namespace)
	for _, volume := range volumes {
		left = append(left, "volume "+volume.Name)
	}
	return left, err
}

// volumes of a namespace's claims.
func (l *laboratory) volumes(ctx context.Context, namespace string) ([]corev1.PersistentVolume, error) {
	var all corev1.PersistentVolumeList
	if err := l.client.List(ctx, &all); err != nil {
		return nil, fmt.Errorf("list volumes: %w", err)
	}
	return volumesOf(namespace, all.Items), nil
}

// volumesOf are the volumes whose claim is or was in a namespace.
func volumesOf(namespace string, all []corev1.PersistentVolume) []corev1.PersistentVolume {
	var own []corev1.PersistentVolume
	for _, volume := range all {
		if claim := volume.Spec.ClaimRef; claim != nil && claim.Namespace == namespace {
			own = append(own, volume)
		}
	}
	return own
}

// joinLab has the lab take all guests of its region, and starts one: what the first guest finds cold is
// not what is measured, its order is the pattern of those by hand, and with it come the PriorityClasses,
// which a cell is given once.
func (b *bench) joinLab(ctx context.Context) (err error) {
	if _, err := b.fleet.Run(ctx, "cell", "cordon", labTwin); err != nil {
		return err
	}
	first := b.guest(warmUp)
	defer func() { err = errors.Join(err, first.stop(context.Background())) }()
	if _, err := measure(ctx, first, pollMany); err != nil {
		return err
	}
	order, err := first.order(ctx)
	if err != nil {
		return err
	}
	b.lab.order = *order
	return nil
}

// order of a guest, as its agent sees it.
func (g *guest) order(ctx context.Context) (*v1alpha1.ControlPlaneSpec, error) {
	if err := g.read(ctx); err != nil {
		return nil, err
	}
	var orders v1alpha1.ControlPlaneList
	if err := g.bench.hub.List(ctx, &orders); err != nil {
		return nil, fmt.Errorf("list control planes: %w", err)
	}
	for _, order := range orders.Items {
		if order.Name == g.cluster.Status.ID {
			return &order.Spec, nil
		}
	}
	return nil, fmt.Errorf("cluster %s has no control plane", g.cluster.Name)
}
