package cli

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// What 'cluster wait --for' takes.
const (
	forReady     = "ready"
	forScheduled = "scheduled"
	forDeleted   = "deleted"
)

// hopeless are the reasons that no waiting mends: somebody must change something.
var hopeless = map[string]bool{
	v1alpha1.ReasonRegionNotFound:    true,
	v1alpha1.ReasonTemplateNotFound:  true,
	v1alpha1.ReasonVersionNotFound:   true,
	v1alpha1.ReasonOrphanNotReported: true,
	v1alpha1.ReasonInvalidOrder:      true,
}

func newClusterWait(s *session) *cobra.Command {
	goal := forReady
	command := &cobra.Command{
		Use:               "wait NAME...",
		Short:             "Wait until clusters are ready, scheduled or deleted",
		Example:           "  myriad cluster wait hello --timeout 2m\n  myriad cluster wait hello --for deleted",
		Args:              arguments(1, -1),
		ValidArgsFunction: s.completeWords(true, s.clusterNames),
		RunE: func(command *cobra.Command, given []string) error {
			hub, err := s.hub()
			if err != nil {
				return err
			}
			for _, name := range given {
				if err := s.waitForCluster(command.Context(), hub, name, goal); err != nil {
					return err
				}
			}
			return nil
		},
	}
	goals := []string{forReady, forScheduled, forDeleted}
	command.Flags().StringVar(&goal, "for", goal, "what to wait for: "+strings.Join(goals, ", "))
	must(command.RegisterFlagCompletionFunc("for", cobra.FixedCompletions(goals, cobra.ShellCompDirectiveNoFileComp)))
	return command
}

func (s *session) waitForCluster(ctx context.Context, hub client.Client, name, goal string) error {
	switch goal {
	case forReady, forScheduled:
		spent, err := s.awaitCluster(ctx, hub, name, goal)
		if err == nil {
			s.notef("cluster %s is %s (%s)", name, goal, spent)
		}
		return err
	case forDeleted:
		spent, err := s.awaitGone(ctx, hub, name, "")
		if err == nil {
			s.notef("cluster %s is gone (%s)", name, spent)
		}
		return err
	}
	return fail(exitUsage, "--for %s is not known; use %s, %s or %s", goal, forReady, forScheduled, forDeleted)
}

// awaitCluster waits until a cluster is ready or scheduled and returns how long that took.
func (s *session) awaitCluster(ctx context.Context, hub client.Client, name, goal string) (time.Duration, error) {
	next := "it goes on by itself; look with 'myriad cluster describe " + name + "'"
	return s.await(ctx, "cluster "+name, next, func(ctx context.Context) (string, bool, error) {
		cluster, err := s.findCluster(ctx, hub, name)
		if err != nil {
			return "", false, err
		}
		if goal == forScheduled {
			return scheduled(cluster)
		}
		return readiness(cluster)
	})
}

// scheduled says whether a cluster has a cell, and fails when it will never get one as it is.
func scheduled(cluster *v1alpha1.Cluster) (state string, done bool, err error) {
	if cluster.DeletionTimestamp != nil {
		return "", false, fail(exitNotFound, "cluster %s is being deleted; create it again once it is gone", cluster.Name)
	}
	condition := meta.FindStatusCondition(cluster.Status.Conditions, v1alpha1.ConditionScheduled)
	if condition == nil || cluster.Status.ObservedGeneration < cluster.Generation {
		return "waiting for the hub to look at it", false, nil
	}
	return verdict(cluster, condition)
}

// readiness says how far a cluster is, whether it is ready, and fails when it will never be as it is.
func readiness(cluster *v1alpha1.Cluster) (state string, done bool, err error) {
	state, done, err = scheduled(cluster)
	if !done || err != nil {
		return state, false, err
	}
	condition := meta.FindStatusCondition(cluster.Status.Conditions, v1alpha1.ConditionReady)
	if condition == nil {
		return "waiting for cell " + cluster.Status.Cell, false, nil
	}
	return verdict(cluster, condition)
}

func verdict(cluster *v1alpha1.Cluster, condition *metav1.Condition) (state string, done bool, err error) {
	state = condition.Reason
	if condition.Message != "" {
		state += ": " + condition.Message
	}
	if condition.Status == metav1.ConditionTrue {
		return state, true, nil
	}
	if hopeless[condition.Reason] {
		return "", false, fail(exitUsage, "cluster %s: %s; waiting does not help: change it, or run 'myriad cluster delete %s' and create it anew", cluster.Name, state, cluster.Name)
	}
	return state, false, nil
}

// awaitGone waits until no cluster of that name, or with a uid no such one, exists.
func (s *session) awaitGone(ctx context.Context, hub client.Client, name string, uid types.UID) (time.Duration, error) {
	next := "it goes on by itself; look with 'myriad cluster describe " + name + "'"
	return s.await(ctx, "delete cluster "+name, next, func(ctx context.Context) (string, bool, error) {
		var cluster v1alpha1.Cluster
		err := hub.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: name}, &cluster)
		if apierrors.IsNotFound(err) || (err == nil && uid != "" && cluster.UID != uid) {
			return "", true, nil
		}
		state := "waiting for the hub"
		if c := meta.FindStatusCondition(cluster.Status.Conditions, v1alpha1.ConditionReady); c != nil && c.Reason == v1alpha1.ReasonDeleting && c.Message != "" {
			state = c.Message
		} else if cluster.Status.Cell != "" {
			state = "waiting for cell " + cluster.Status.Cell
		}
		return state, false, err
	})
}
