package byhand

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"testing"

	"k8s.io/apimachinery/pkg/api/resource"
	appsv1 "k8s.io/client-go/applyconfigurations/apps/v1"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/runtime/kubernetes/objects"
)

func prepared(t *testing.T) *Pods {
	t.Helper()
	size := v1alpha1.ComponentSize{CPU: resource.MustParse("20m"), Memory: resource.MustParse("208Mi")}
	p, err := PreparePods(PodOptions{
		Cell: objects.Cell{Name: "by-hand", VolumeSize: resource.MustParse("1Gi")},
		Order: v1alpha1.ControlPlaneSpec{
			ID: "h000000001", Version: "v1.36.3", EtcdVersion: "v3.6.16", Availability: v1alpha1.Single, Zones: []string{"b"},
			Network:        v1alpha1.ClusterNetwork{PodCIDR: "10.244.0.0/16", ServiceCIDR: "10.96.0.0/16"},
			Endpoint:       v1alpha1.GuestEndpoint{ServerName: "h.byhand.internal", Address: "127.0.0.1", Port: 6443, PlainPort: 20001},
			Size:           v1alpha1.ControlPlaneSize{Etcd: size, APIServer: size, ControllerManager: size, Scheduler: size},
			RenderRevision: controlplane.LatestRevision(), Epoch: 1,
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// hosts of every component of a control plane of zone b.
func hosts() map[string]string {
	hosts := map[string]string{}
	for i, kind := range []controlplane.Kind{controlplane.Etcd, controlplane.APIServer, controlplane.ControllerManager, controlplane.Scheduler} {
		hosts[controlplane.InstanceName(kind, "b")] = fmt.Sprintf("10.250.0.%d", i+1)
	}
	return hosts
}

func TestEverything(t *testing.T) {
	guest, err := prepared(t).build(hosts())
	if err != nil {
		t.Fatal(err)
	}
	secrets, workloads := map[string]bool{}, 0
	for i, object := range everything(guest) {
		switch o := object.(type) {
		case *applycorev1.SecretApplyConfiguration:
			secrets[*o.Name] = true
		case *appsv1.StatefulSetApplyConfiguration:
			workloads++
			if !secrets[*o.Name] {
				t.Errorf("StatefulSet %s comes before its Secret", *o.Name)
			}
		case *appsv1.ReplicaSetApplyConfiguration:
			workloads++
			if !secrets[*o.Name] {
				t.Errorf("ReplicaSet %s comes before its Secret", *o.Name)
			}
		default:
			if i >= len(guest.Shared) {
				t.Errorf("object %d, %T, comes after components have begun", i, o)
			}
		}
	}
	if len(secrets) != 4 || workloads != 4 {
		t.Errorf("want 4 Secrets and 4 workloads, got %d and %d", len(secrets), workloads)
	}
}

func TestAdministratorTrustsTheService(t *testing.T) {
	p := prepared(t)
	address := hosts()["kube-apiserver-b"]
	config, err := admin(p.identity, address)
	if err != nil {
		t.Fatal(err)
	}
	if want := "https://" + address + ":6443"; config.Host != want {
		t.Errorf("want host %s, got %s", want, config.Host)
	}
	guest, err := p.build(hosts())
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(config.CAData)
	for _, content := range guest.Components[1].Secret.Data {
		block, _ := pem.Decode(content)
		if block == nil || block.Type != "CERTIFICATE" {
			continue
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := certificate.Verify(x509.VerifyOptions{DNSName: address, Roots: roots}); err == nil {
			return
		}
	}
	t.Errorf("no certificate of %s is good for %s by the administrator's authority", guest.Components[1].Name, address)
}
