package cli

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/pki"
)

const (
	// Bounds of ClusterCredentialSpec.ExpirationSeconds.
	shortestExpiration = 10 * time.Minute
	longestExpiration  = 7 * 24 * time.Hour
	// cleanupTimeout bounds the removal of a request that nobody waits for any more.
	cleanupTimeout = 5 * time.Second
)

// credentialOrder says what a kubeconfig should allow.
type credentialOrder struct {
	role       string
	user       string
	expiration time.Duration
	plainPort  bool
}

// issueKubeconfig makes a key, has the cluster's cell sign a certificate for it and returns a
// kubeconfig. The key leaves this process in the kubeconfig only.
func (s *session) issueKubeconfig(ctx context.Context, hub client.Client, cluster *v1alpha1.Cluster, order credentialOrder) ([]byte, error) {
	role, err := parseRole(order.role)
	if err != nil {
		return nil, err
	}
	if order.expiration < shortestExpiration || order.expiration > longestExpiration {
		return nil, fail(exitUsage, "--expiration %s is out of bounds; use %s to %s", order.expiration, shortestExpiration, longestExpiration)
	}
	request, key, err := pki.NewRequest(order.user)
	if err != nil {
		return nil, fmt.Errorf("make a key for cluster %s: %w", cluster.Name, err)
	}
	credential := &v1alpha1.ClusterCredential{
		ObjectMeta: metav1.ObjectMeta{Namespace: cluster.Namespace, GenerateName: cluster.Name + "-"},
		Spec: v1alpha1.ClusterCredentialSpec{
			Cluster: cluster.Name, Role: role, User: order.user, Request: string(request),
			ExpirationSeconds: int32(order.expiration / time.Second),
		},
	}
	if err := hub.Create(ctx, credential); err != nil {
		return nil, explain("ask for a certificate for cluster "+cluster.Name, err)
	}
	if err := s.awaitCertificate(ctx, hub, credential); err != nil {
		abandon(ctx, hub, credential)
		return nil, err
	}
	return kubeconfig(cluster, credential, key, order.plainPort)
}

// awaitCertificate waits until a credential holds its certificate and says where to dial.
func (s *session) awaitCertificate(ctx context.Context, hub client.Client, credential *v1alpha1.ClusterCredential) error {
	name := credential.Spec.Cluster
	next := "is its cell up? look with 'myriad cluster describe " + name + "' and 'myriad cell list'"
	_, err := s.await(ctx, "certificate for cluster "+name, next, func(ctx context.Context) (string, bool, error) {
		if err := hub.Get(ctx, client.ObjectKeyFromObject(credential), credential); err != nil {
			return "", false, err
		}
		condition := meta.FindStatusCondition(credential.Status.Conditions, v1alpha1.ConditionReady)
		switch {
		case credential.Status.Certificate != "" && credential.Status.Endpoint != nil && credential.Status.CABundle != "":
			return "", true, nil
		case condition == nil:
			return "waiting for the hub", false, nil
		case condition.Reason == v1alpha1.ReasonRefused:
			return "", false, fail(exitUsage, "certificate for cluster %s: refused: %s", name, condition.Message)
		case condition.Reason == v1alpha1.ReasonClusterNotFound:
			return "", false, fail(exitNotFound, "%s; run 'myriad cluster list'", condition.Message)
		}
		return strings.TrimSuffix(condition.Reason+": "+condition.Message, ": "), false, nil
	})
	return err
}

// abandon removes a request that nobody waits for any more. It is a courtesy: what is left expires.
func abandon(ctx context.Context, hub client.Client, credential *v1alpha1.ClusterCredential) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	_ = hub.Delete(ctx, credential)
}

func kubeconfig(cluster *v1alpha1.Cluster, credential *v1alpha1.ClusterCredential, key []byte, plainPort bool) ([]byte, error) {
	endpoint := credential.Status.Endpoint
	return pki.Kubeconfig{
		Name:          cluster.Name,
		Server:        serverURL(endpoint, plainPort),
		TLSServerName: endpoint.ServerName,
		CA:            []byte(credential.Status.CABundle),
		Certificate:   []byte(credential.Status.Certificate),
		Key:           key,
	}.Marshal()
}

// serverURL is where a guest answers: on the port that all guests share, or on its own plain one.
func serverURL(endpoint *v1alpha1.GuestEndpoint, plain bool) string {
	port := endpoint.Port
	if plain {
		port = endpoint.PlainPort
	}
	return "https://" + net.JoinHostPort(endpoint.Address, strconv.Itoa(int(port)))
}

func parseRole(text string) (v1alpha1.CredentialRole, error) {
	for _, role := range []v1alpha1.CredentialRole{v1alpha1.CredentialAdmin, v1alpha1.CredentialViewer} {
		if strings.EqualFold(text, string(role)) {
			return role, nil
		}
	}
	return "", fail(exitUsage, "--role %s is not known; use admin or viewer", text)
}

// defaultUser is the name in certificates of whoever runs the command.
func defaultUser() string { return cmp.Or(os.Getenv("USER"), "myriad") }
