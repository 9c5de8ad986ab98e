package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/test/lab/volumes"
)

const (
	// StorageClass is the cell's only one and its default: directories on the nodes.
	StorageClass = "local"

	// apiDeadline bounds the API server's start, cellDeadline that of the nodes and CoreDNS.
	apiDeadline  = 2 * time.Minute
	cellDeadline = 3 * time.Minute
)

// install writes the objects that make the cluster a cell.
func (u *up) install(ctx context.Context) error {
	clientset, err := u.Client()
	if err != nil {
		return err
	}
	err = waitFor(ctx, apiDeadline, func(ctx context.Context) error {
		return clientset.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
	})
	if err != nil {
		return fmt.Errorf("wait for the API server: %w; see %s", err, u.path("supervisor", "guests", controlPlaneID))
	}
	objects, err := cellObjects(u.dnsImage)
	if err != nil {
		return err
	}
	return u.write(ctx, objects)
}

// Admit gives AgentUser its rights, as 'myriad cell access' prints them. Run runs myriad.
func (l *Lab) Admit(ctx context.Context, run func(ctx context.Context, arguments ...string) (string, error)) error {
	access, err := run(ctx, "cell", "access", "--user", AgentUser)
	if err != nil {
		return err
	}
	objects, err := decode([]byte(access))
	if err != nil {
		return fmt.Errorf("lab %s: read what 'myriad cell access' printed: %w", l.dir, err)
	}
	return l.write(ctx, objects)
}

func (l *Lab) write(ctx context.Context, objects []*unstructured.Unstructured) error {
	config, err := clientcmd.BuildConfigFromFlags("", l.Kubeconfig())
	if err != nil {
		return err
	}
	writer, err := client.New(config, client.Options{})
	if err != nil {
		return err
	}
	for _, object := range objects {
		err := writer.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), client.FieldOwner(name), client.ForceOwnership)
		if err != nil {
			return fmt.Errorf("write %s %s: %w", object.GetKind(), object.GetName(), err)
		}
	}
	return nil
}

// cellObjects are rights, CoreDNS and the storage class.
func cellObjects(dnsImage string) ([]*unstructured.Unstructured, error) {
	text, err := render("objects.yaml", map[string]string{
		"KubeletGroup": controlplane.KubeletClientGroup,
		"StorageClass": StorageClass,
		"Provisioner":  volumes.Provisioner,
		"DNS":          dnsAddress.String(),
		"DNSImage":     dnsImage,
	})
	if err != nil {
		return nil, err
	}
	objects, err := decode(text)
	if err != nil {
		return nil, fmt.Errorf("read objects.yaml: %w", err)
	}
	return objects, nil
}

// decode reads the objects of YAML documents.
func decode(documents []byte) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(documents), 4<<10)
	for {
		object := &unstructured.Unstructured{}
		switch err := decoder.Decode(object); {
		case errors.Is(err, io.EOF):
			return objects, nil
		case err != nil:
			return nil, err
		case len(object.Object) > 0:
			objects = append(objects, object)
		}
	}
}

// waitCell returns when every zone's node is Ready and CoreDNS serves.
func (u *up) waitCell(ctx context.Context) error {
	clientset, err := u.Client()
	if err != nil {
		return err
	}
	return waitFor(ctx, cellDeadline, func(ctx context.Context) error {
		for _, zone := range Zones() {
			if err := settleNode(ctx, clientset, zone); err != nil {
				return err
			}
		}
		dns, err := clientset.AppsV1().Deployments("kube-system").Get(ctx, "coredns", metav1.GetOptions{})
		if err != nil {
			return err
		}
		if dns.Status.ReadyReplicas < *dns.Spec.Replicas {
			return fmt.Errorf("CoreDNS: %d of %d replicas are ready", dns.Status.ReadyReplicas, *dns.Spec.Replicas)
		}
		_, err = clientset.CoreV1().ServiceAccounts("default").Get(ctx, "default", metav1.GetOptions{})
		return err
	})
}

// settleNode is nil when a zone's node is Ready. It tells the API which pod network the node has.
func settleNode(ctx context.Context, clientset kubernetes.Interface, zone string) error {
	node, err := clientset.CoreV1().Nodes().Get(ctx, NodeName(zone), metav1.GetOptions{})
	if err != nil {
		return err
	}
	if node.Spec.PodCIDR == "" {
		network := podNetwork(zone)
		patch := fmt.Appendf(nil, `{"spec":{"podCIDR":%q,"podCIDRs":[%q]}}`, network, network)
		if _, err := clientset.CoreV1().Nodes().Patch(ctx, node.Name, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
			return err
		}
	}
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady && condition.Status == corev1.ConditionTrue {
			return nil
		}
	}
	return fmt.Errorf("node %s is not Ready", node.Name)
}
