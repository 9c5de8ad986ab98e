package local

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/controlplane"
)

// KubernetesCell is a cell of a local fleet whose guests run in a Kubernetes cluster. Its agent runs
// beside the hub, as the others do.
type KubernetesCell struct {
	// Name of the Cell.
	Name string `json:"name"`
	// Region that it belongs to.
	Region string `json:"region"`
	// Kubeconfig is the file that leads to its cluster when it joins. The home keeps a copy.
	Kubeconfig string `json:"-"`
}

// cellDeadline bounds one question to a cell's cluster.
const cellDeadline = 20 * time.Second

// ParseKubernetesCell reads NAME=KUBECONFIG or NAME@REGION=KUBECONFIG; the first region of the default
// fleet is meant when none is named.
func ParseKubernetesCell(text string) (KubernetesCell, error) {
	place, kubeconfig, found := strings.Cut(text, "=")
	name, region, named := strings.Cut(place, "@")
	if !named {
		region = defaultRegions[0].name
	}
	if !found || kubeconfig == "" || len(validation.IsDNS1123Label(name)) > 0 {
		return KubernetesCell{}, fmt.Errorf("cell %q: write NAME=KUBECONFIG or NAME@REGION=KUBECONFIG, for example lab-1=/etc/lab/kubeconfig", text)
	}
	for _, known := range defaultRegions {
		if known.name == region {
			return KubernetesCell{Name: name, Region: region, Kubeconfig: kubeconfig}, nil
		}
	}
	return KubernetesCell{}, fmt.Errorf("cell %q: there is no region %s; use %s or %s", text, region, defaultRegions[0].name, defaultRegions[1].name)
}

// cellKubeconfig leads to the cluster of a Kubernetes cell.
func (h *Home) cellKubeconfig(cell string) string {
	return filepath.Join(h.AgentDir(cell), "cell.kubeconfig")
}

// keepKubernetesCells notes the cells that join now beside those that did before, and keeps a copy of
// each kubeconfig.
func (h *Home) keepKubernetesCells(joining []KubernetesCell) error {
	for _, cell := range joining {
		for _, taken := range defaultCells {
			if taken.name == cell.Name {
				return fmt.Errorf("cell %s is one of the default fleet, which runs processes: choose another name", cell.Name)
			}
		}
		i := slices.IndexFunc(h.Settings.KubernetesCells, func(c KubernetesCell) bool { return c.Name == cell.Name })
		switch {
		case i < 0:
			h.Settings.KubernetesCells = append(h.Settings.KubernetesCells, cell)
		case h.Settings.KubernetesCells[i].Region != cell.Region:
			return fmt.Errorf("cell %s lies in region %s; a cell does not move: join it by another name", cell.Name, h.Settings.KubernetesCells[i].Region)
		}
		// Files that the kubeconfig names are put into the copy, so that it stands alone.
		config, err := clientcmd.LoadFromFile(cell.Kubeconfig)
		if err != nil {
			return fmt.Errorf("cell %s: read its kubeconfig: %w", cell.Name, err)
		}
		if err := clientcmdapi.FlattenConfig(config); err != nil {
			return fmt.Errorf("cell %s: read what its kubeconfig names: %w", cell.Name, err)
		}
		text, err := clientcmd.Write(*config)
		if err != nil {
			return fmt.Errorf("cell %s: keep its kubeconfig: %w", cell.Name, err)
		}
		if err := writeChanged(h.cellKubeconfig(cell.Name), text); err != nil {
			return err
		}
	}
	return nil
}

// joinKubernetesCells writes the Cells that do not exist yet, with the zones of their clusters' nodes.
func (u *up) joinKubernetesCells(ctx context.Context) error {
	for _, joined := range u.home.Settings.KubernetesCells {
		var cell v1alpha1.Cell
		err := u.client.Get(ctx, client.ObjectKey{Name: joined.Name}, &cell)
		if client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("read cell %s: %w", joined.Name, err)
		}
		if err != nil {
			zones, err := readZones(ctx, u.home.cellKubeconfig(joined.Name))
			if err != nil {
				return fmt.Errorf("cell %s: %w", joined.Name, err)
			}
			cell = v1alpha1.Cell{
				TypeMeta:   typeMeta("Cell"),
				ObjectMeta: metav1.ObjectMeta{Name: joined.Name},
				Spec:       v1alpha1.CellSpec{Region: joined.Region, Zones: zones},
			}
			if err := u.client.Create(ctx, &cell); err != nil {
				return fmt.Errorf("write cell %s: %w", joined.Name, err)
			}
		}
		u.kubernetesCells = append(u.kubernetesCells, cell)
	}
	return nil
}

// readZones asks a cluster in which zones its nodes lie.
func readZones(ctx context.Context, kubeconfig string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, cellDeadline)
	defer cancel()
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("read kubeconfig %s: %w", kubeconfig, err)
	}
	clients, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("connect to the cell's cluster: %w", err)
	}
	nodes, err := clients.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("list the nodes of the cell's cluster: %w", err)
	}
	zones := map[string]bool{}
	for _, node := range nodes.Items {
		if zone := node.Labels[corev1.LabelTopologyZone]; zone != "" {
			zones[zone] = true
		}
	}
	if len(zones) == 0 {
		return nil, fmt.Errorf("none of its %d nodes has the label %s: label each node with its zone first", len(nodes.Items), corev1.LabelTopologyZone)
	}
	return slices.Sorted(maps.Keys(zones)), nil
}

// kubernetesCellManifest runs the agent of a Kubernetes cell. Its guests need nothing on this machine.
func kubernetesCellManifest(home *Home, binary, cell string) controlplane.Manifest {
	return controlplane.Manifest{ID: cellID(cell), Epoch: 1, Components: []controlplane.Component{
		daemon("agent", binary, append(agentArguments(home, cell), "--cell-kubeconfig", home.cellKubeconfig(cell))...),
	}}
}

// agentArguments are those of every agent.
func agentArguments(home *Home, cell string) []string {
	arguments := []string{
		"agent", "--cell", cell,
		"--dir", home.AgentDir(cell),
		"--distribution", home.DistributionDir(),
		"--snapshots", "file://" + home.path("cells", cell, "snapshots") + "?create_dir=true&no_tmp_dir=true",
	}
	if home.Settings.LeafLifetime != "" {
		arguments = append(arguments, "--leaf-lifetime", home.Settings.LeafLifetime)
	}
	return arguments
}

// hasSupervisor tells whether a cell's guests are processes of this machine.
func (h *Home) hasSupervisor(cell string) bool {
	_, err := os.Stat(h.RuntimeDir(cell))
	return !errors.Is(err, os.ErrNotExist)
}
