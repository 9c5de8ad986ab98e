package cli

import (
	"context"
	"errors"
	"strings"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// defaultTemplate is the default of ClusterSpec.Template.
const defaultTemplate = "standard"

// clusterOrder is what 'cluster create' was told.
type clusterOrder struct {
	name                      string
	region, template, version string
	availability              string
	podCIDR, serviceCIDR      string
	areas, certifications     []string
	vpc                       string
	nodes, podsPerNode        int32
	gears                     v1alpha1.GearBounds
	wait                      bool
}

func newClusterCreate(s *session) *cobra.Command {
	var order clusterOrder
	command := &cobra.Command{
		Use:   "create NAME [--region REGION]",
		Short: "Create a cluster",
		Long: `Create a cluster. What is left out comes from the template, and a region that is left out is chosen among those
that --area and --certification allow.

The same is done by 'kubectl apply' of a Cluster in the hub; 'myriad cluster get NAME -o yaml' shows one.`,
		Example: "  myriad cluster create hello --region cn-hangzhou --wait\n" +
			"  myriad cluster create prod --region eu-frankfurt --availability zonal --version v1.36.3\n" +
			"  myriad cluster create records --area eu --certification gdpr --vpc shared --nodes 60",
		Args: arguments(1, 1),
		RunE: func(command *cobra.Command, given []string) error {
			order.name = given[0]
			return s.createCluster(command.Context(), order)
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	flags := command.Flags()
	flags.StringVar(&order.template, "template", defaultTemplate, "template to make it from")
	flags.StringVar(&order.version, "version", "", "version of Kubernetes, such as v1.36.3 (default: the template's)")
	flags.StringVar(&order.availability, "availability", "", "single: one replica in one zone; zonal: one in each of three zones (default: the template's)")
	flags.StringVar(&order.podCIDR, "pod-cidr", "", "addresses of the pods, such as 10.244.0.0/16 (default: the template's)")
	flags.StringVar(&order.serviceCIDR, "service-cidr", "", "addresses of the Services, such as 10.96.0.0/16 (default: the template's)")
	s.whereFlags(command, &order)
	s.gearFlags(command, &order.gears)
	flags.BoolVar(&order.wait, "wait", false, "wait until it is ready")
	s.completeFlag(command, "template", templateNames)
	s.completeFlag(command, "version", releaseNames)
	must(command.RegisterFlagCompletionFunc("availability", cobra.FixedCompletions([]string{"single", "zonal"}, cobra.ShellCompDirectiveNoFileComp)))
	return command
}

func (s *session) createCluster(ctx context.Context, order clusterOrder) error {
	hub, err := s.hub()
	if err != nil {
		return err
	}
	cluster, err := s.resolveOrder(ctx, hub, order)
	if err != nil {
		return err
	}
	if err := hub.Create(ctx, cluster); err != nil {
		return s.explainCreate(cluster, err)
	}
	if !order.wait {
		if s.output == outputTable {
			defer s.notef("wait until it is ready: myriad cluster wait %s", s.inNamespace(order.name))
		}
		return s.say(hub.Scheme(), cluster, "cluster %s is created", order.name)
	}
	spent, err := s.awaitCluster(ctx, hub, order.name, forReady)
	if err != nil {
		return err
	}
	if cluster, err = s.findCluster(ctx, hub, order.name); err != nil {
		return err
	}
	if s.output == outputTable {
		defer s.notef("use it: myriad kubectl %s -- get namespaces", s.inNamespace(order.name))
	}
	return s.say(hub.Scheme(), cluster, "cluster %s is ready (%s)", order.name, spent)
}

// inNamespace is a cluster's name as the words to type for it.
func (s *session) inNamespace(name string) string {
	if s.namespace == metav1.NamespaceDefault {
		return name
	}
	return "-n " + s.namespace + " " + name
}

// resolveOrder checks what the API cannot check by itself, that what is named exists, and makes the Cluster.
func (s *session) resolveOrder(ctx context.Context, hub client.Client, order clusterOrder) (*v1alpha1.Cluster, error) {
	if err := checkWhere(ctx, hub, order); err != nil {
		return nil, err
	}
	var templates v1alpha1.ClusterTemplateList
	if err := mustExist(ctx, hub, "template", order.template, &templates); err != nil {
		return nil, err
	}
	if order.version != "" {
		if err := mustExist(ctx, hub, "version", order.version, &v1alpha1.ReleaseList{}); err != nil {
			return nil, err
		}
	}
	cluster := &v1alpha1.Cluster{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: order.name},
		Spec: v1alpha1.ClusterSpec{
			Region: order.region, Residency: order.residency(), Template: order.template, Version: order.version,
		},
	}
	var err error
	if cluster.Spec.Availability, err = parseAvailability(order.availability); err != nil {
		return nil, err
	}
	for _, template := range templates.Items {
		if template.Name == order.template {
			if cluster.Spec.Network, err = networkOf(order, template.Spec.Network); err != nil {
				return nil, err
			}
			cluster.Spec.Gears, err = checkBounds(ctx, hub, order.gears, &template)
		}
	}
	return cluster, err
}

func parseAvailability(text string) (v1alpha1.Availability, error) {
	switch {
	case text == "":
		return "", nil
	case strings.EqualFold(text, string(v1alpha1.Single)):
		return v1alpha1.Single, nil
	case strings.EqualFold(text, string(v1alpha1.Zonal)):
		return v1alpha1.Zonal, nil
	}
	return "", fail(exitUsage, "--availability %s is not known; use single or zonal", text)
}

func (s *session) explainCreate(cluster *v1alpha1.Cluster, err error) error {
	doing := "create cluster " + cluster.Name
	switch {
	case apierrors.IsAlreadyExists(err):
		return fail(exitConflict, "%s: it exists already in namespace %s; choose another name, or look at it with 'myriad cluster describe %s'",
			doing, cluster.Namespace, s.inNamespace(cluster.Name))
	case isMissingNamespace(err):
		return fail(exitNotFound, "%s: namespace %s does not exist; make it: kubectl --kubeconfig %s create namespace %s",
			doing, cluster.Namespace, s.hubKubeconfig(), cluster.Namespace)
	}
	return explain(doing, err)
}

func isMissingNamespace(err error) bool {
	var status apierrors.APIStatus
	return apierrors.IsNotFound(err) && errors.As(err, &status) &&
		status.Status().Details != nil && status.Status().Details.Kind == "namespaces"
}
