package hub_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// attempt is one thing that a thief of a certificate tries.
type attempt struct {
	verb      string
	group     string
	version   string
	resource  string // with its subresource: controlplanes/status
	namespace string // empty for what is cluster-scoped, or across all namespaces
	name      string // empty for collections
}

func (a attempt) String() string {
	return fmt.Sprintf("%s %s.%s in %q named %q", a.verb, a.resource, a.group, a.namespace, a.name)
}

// methods of the verbs. Reads and writes of single objects need a name, the others must have none.
var methods = map[string]struct {
	method string
	single bool
}{
	"get": {method: http.MethodGet, single: true}, "list": {method: http.MethodGet}, "watch": {method: http.MethodGet},
	"create": {method: http.MethodPost}, "update": {method: http.MethodPut, single: true}, "patch": {method: http.MethodPatch, single: true},
	"delete": {method: http.MethodDelete, single: true}, "deletecollection": {method: http.MethodDelete},
}

func (a attempt) url() string {
	path := "/apis/" + a.group + "/" + a.version
	if a.group == "" {
		path = "/api/" + a.version
	}
	if a.namespace != "" {
		path += "/namespaces/" + a.namespace
	}
	resource, subresource, _ := strings.Cut(a.resource, "/")
	path += "/" + resource
	if a.name != "" {
		path += "/" + a.name
	}
	if subresource != "" {
		path += "/" + subresource
	}
	if a.verb == "watch" {
		path += "?watch=true&timeoutSeconds=1"
	}
	return path
}

// attempts on everything that the API server serves: every verb on every resource and subresource,
// in each of the namespaces, across all of them, and on each of the names.
func attempts(t *testing.T, namespaces []string, names map[string][]string) []attempt {
	t.Helper()
	discoverer, err := discovery.NewDiscoveryClientForConfig(as("operator", "system:masters"))
	if err != nil {
		t.Fatal(err)
	}
	_, lists, err := discoverer.ServerGroupsAndResources()
	if err != nil {
		t.Fatal(err)
	}
	var all []attempt
	for _, list := range lists {
		version, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			t.Fatal(err)
		}
		for _, resource := range list.APIResources {
			places := []string{""}
			if resource.Namespaced {
				places = append(places, namespaces...)
			}
			for _, place := range places {
				base := attempt{group: version.Group, version: version.Version, resource: resource.Name, namespace: place}
				all = append(all, variants(base, resource.Namespaced, append([]string{"x"}, names[strings.Split(resource.Name, "/")[0]]...))...)
			}
		}
	}
	return all
}

func variants(base attempt, namespaced bool, names []string) []attempt {
	var all []attempt
	isSub := strings.Contains(base.resource, "/")
	for verb, kind := range methods {
		base.verb = verb
		single := kind.single || isSub
		if single && namespaced && base.namespace == "" {
			continue // a namespaced object has no name across namespaces
		}
		if isSub && !kind.single && verb != "create" {
			continue // subresources have no collections
		}
		for _, name := range names {
			next := base
			if single {
				next.name = name
			}
			all = append(all, next)
			if !single {
				break
			}
		}
	}
	return all
}

// steal tries everything with a certificate, and expects to be forbidden all that is not allowed
// and nothing that is. Allowed writes send no body: any answer but 401 and 403 means they passed.
func steal(t *testing.T, config *rest.Config, all []attempt, allowed func(attempt) bool) {
	t.Helper()
	config.QPS = -1
	web, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	var group errgroup.Group
	group.SetLimit(16)
	for _, a := range all {
		group.Go(func() error {
			code, err := request(t.Context(), web, methods[a.verb].method, config.Host+a.url(), nil)
			if err != nil {
				return err
			}
			forbidden := code == http.StatusForbidden || code == http.StatusUnauthorized
			if forbidden == allowed(a) {
				t.Errorf("%s: answer %d, allowed by design: %t", a, code, allowed(a))
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
	t.Logf("%d attempts", len(all))
	tricks(t, web, config.Host)
}

// tricks that are no verbs on resources of their own.
func tricks(t *testing.T, web *http.Client, host string) {
	t.Helper()
	for name, header := range map[string]http.Header{
		"impersonate the hub":      {"Impersonate-User": {"myriad:hub"}, "Impersonate-Group": {"myriad:hubs"}},
		"impersonate an operator":  {"Impersonate-User": {"operator"}, "Impersonate-Group": {"system:masters"}},
		"impersonate another cell": {"Impersonate-User": {v1alpha1.AgentUser("other", 1)}},
	} {
		if code, err := request(t.Context(), web, http.MethodGet, host+"/api/v1/namespaces", header); err != nil || code != http.StatusForbidden {
			t.Errorf("%s: answer %d, %v", name, code, err)
		}
	}
	for _, path := range []string{"/metrics", "/debug/pprof/", "/logs/", "/configz", "/flagz", "/statusz"} {
		if code, err := request(t.Context(), web, http.MethodGet, host+path, nil); err != nil || code != http.StatusForbidden {
			t.Errorf("read %s: answer %d, %v", path, code, err)
		}
	}
}

func request(ctx context.Context, web *http.Client, method, url string, header http.Header) (int, error) {
	body, kind := "{}", "application/json"
	if method == http.MethodPatch {
		kind = "application/merge-patch+json"
	}
	if method == http.MethodGet {
		body = ""
	}
	message, err := http.NewRequestWithContext(ctx, method, url, bytes.NewBufferString(body))
	if err != nil {
		return 0, err
	}
	maps.Copy(message.Header, header)
	message.Header.Set("Content-Type", kind)
	answer, err := web.Do(message)
	if err != nil {
		return 0, err
	}
	return answer.StatusCode, answer.Body.Close()
}

// everybody may ask the API server about themselves (ClusterRole system:basic-user).
func everybody(a attempt) bool {
	return a.verb == "create" && slices.Contains([]string{
		"authorization.k8s.io/selfsubjectaccessreviews", "authorization.k8s.io/selfsubjectrulesreviews", "authentication.k8s.io/selfsubjectreviews",
	}, a.group+"/"+a.resource)
}

// allowance is a rule of the design, written once more and apart from the code under test.
type allowance struct {
	namespace, resource, name string // name "": any
	verbs                     string
}

func (r allowance) covers(a attempt) bool {
	return a.namespace == r.namespace && a.group+"/"+a.resource == r.resource &&
		slices.Contains(strings.Fields(r.verbs), a.verb) && (r.name == "" || r.name == a.name)
}

func allow(rules ...allowance) func(attempt) bool {
	return func(a attempt) bool {
		return everybody(a) || slices.ContainsFunc(rules, func(r allowance) bool { return r.covers(a) })
	}
}

// prey is a region with two cells, a guest in the first and a tenant's namespace to break into.
func prey(t *testing.T) (f *fleet, own, other *v1alpha1.Cell, order *v1alpha1.ControlPlane, all []attempt) {
	t.Helper()
	f = newFleet(t)
	own = f.cell("own")
	namespace := f.namespace("team")
	order = f.order(f.cluster(namespace, "prod"))
	other = f.cell("other")
	all = attempts(t,
		[]string{v1alpha1.CellNamespace(own.Name), v1alpha1.CellNamespace(other.Name), v1alpha1.RegionNamespace(f.name), namespace, "kube-system", hubNamespace},
		map[string][]string{
			"controlplanes": {order.Name}, "cells": {own.Name, other.Name}, "regions": {f.name}, "clusters": {"prod"},
			"leases":     {v1alpha1.AgentLease, "myriad-hub"},
			"configmaps": {v1alpha1.AgentCredentialConfigMap, v1alpha1.RegionCellsConfigMap},
		})
	return f, own, other, order, all
}

// awaitRights waits until the API server has taken note of the rights in a cell's namespace.
func (f *fleet) awaitRights(config *rest.Config, namespace string) {
	f.t.Helper()
	api := connect(f.t, config)
	f.eventually("wait for rights in "+namespace, func(ctx context.Context) error {
		return api.List(ctx, &v1alpha1.ControlPlaneList{}, client.InNamespace(namespace))
	})
}

const hubNamespace = "myriad-system"

func TestThiefOfAnAgentsCertificate(t *testing.T) {
	f, own, _, order, all := prey(t)
	home, fleetGroup := v1alpha1.CellNamespace(own.Name), v1alpha1.GroupVersion.Group
	thief := as(v1alpha1.AgentUser(own.Name, 1))
	f.awaitRights(thief, home)
	steal(t, thief, all, allow(
		allowance{namespace: home, resource: fleetGroup + "/controlplanes", verbs: "get list watch"},
		allowance{namespace: home, resource: fleetGroup + "/controlplanes/status", verbs: "get update patch"},
		allowance{namespace: home, resource: fleetGroup + "/clustercredentials", verbs: "get list watch"},
		allowance{namespace: home, resource: fleetGroup + "/clustercredentials/status", verbs: "get update patch"},
		allowance{namespace: home, resource: "coordination.k8s.io/leases", verbs: "create"},
		allowance{namespace: home, resource: "coordination.k8s.io/leases", name: v1alpha1.AgentLease, verbs: "get update"},
		allowance{namespace: home, resource: "/events", verbs: "create patch"},
		allowance{namespace: home, resource: "events.k8s.io/events", verbs: "create patch"},
		allowance{namespace: home, resource: "/configmaps", name: v1alpha1.AgentCredentialConfigMap, verbs: "get"},
		allowance{resource: fleetGroup + "/cells", name: own.Name, verbs: "get"},
		allowance{resource: fleetGroup + "/cells/status", name: own.Name, verbs: "get update patch"},
	))
	statusChangesNothingElse(t, f, connect(t, thief), own, order)
}

// statusChangesNothingElse: an agent may write the status of its orders and of its Cell; specs,
// labels and finalizers sent along are ignored.
func statusChangesNothingElse(t *testing.T, f *fleet, agent client.Client, own *v1alpha1.Cell, order *v1alpha1.ControlPlane) {
	t.Helper()
	patch := client.RawPatch("application/merge-patch+json", []byte(`{
		"metadata":{"labels":{"stolen":"yes"},"annotations":{"stolen":"yes"},"finalizers":[],"ownerReferences":[]},
		"spec":{"version":"v9.9.9","credentialGeneration":9,"cordoned":true},
		"status":{"agentVersion":"v1","version":"v1.36.3"}}`))
	for _, object := range []client.Object{own, order} {
		if err := f.api.Get(t.Context(), client.ObjectKeyFromObject(object), object); err != nil {
			t.Fatal(err)
		}
		generation := object.GetGeneration()
		if err := agent.Status().Patch(t.Context(), object, patch); err != nil {
			t.Errorf("an agent must be able to report on %s: %v", object.GetName(), err)
		}
		if err := f.api.Get(t.Context(), client.ObjectKeyFromObject(object), object); err != nil {
			t.Fatal(err)
		}
		if object.GetGeneration() != generation || object.GetLabels()["stolen"] != "" || object.GetAnnotations()["stolen"] != "" {
			t.Errorf("through the status of %T %s an agent changed more than the status", object, object.GetName())
		}
	}
	if !slices.Contains(order.Finalizers, v1alpha1.Finalizer) {
		t.Error("an agent took the finalizer off its order")
	}
}

func TestThiefOfAGatewaysCertificate(t *testing.T) {
	f, own, other, _, all := prey(t)
	orders := v1alpha1.GroupVersion.Group + "/controlplanes"
	thief := as(v1alpha1.GatewayUser(f.name, 2))
	f.awaitRights(thief, v1alpha1.CellNamespace(own.Name))
	f.awaitRights(thief, v1alpha1.CellNamespace(other.Name))
	steal(t, thief, all, allow(
		allowance{namespace: v1alpha1.CellNamespace(own.Name), resource: orders, verbs: "get list watch"},
		allowance{namespace: v1alpha1.CellNamespace(other.Name), resource: orders, verbs: "get list watch"},
		allowance{namespace: v1alpha1.RegionNamespace(f.name), resource: "/configmaps", name: v1alpha1.RegionCellsConfigMap, verbs: "get"},
	))
}

// TestWatchingOneObjectByName: rights on one name allow a watch that asks for that name.
func TestWatchingOneObjectByName(t *testing.T) {
	f, own, other, _, _ := prey(t)
	config := as(v1alpha1.AgentUser(own.Name, 1))
	f.awaitRights(config, v1alpha1.CellNamespace(own.Name))
	agent := connect(t, config)
	named := func(name string) client.ListOption { return client.MatchingFields{"metadata.name": name} }
	if err := agent.List(t.Context(), &v1alpha1.CellList{}, named(own.Name)); err != nil {
		t.Errorf("an agent lists its own Cell by name: %v", err)
	}
	if err := agent.List(t.Context(), &v1alpha1.CellList{}, named(other.Name)); err == nil {
		t.Error("an agent listed another Cell")
	}
	if err := agent.List(t.Context(), &v1alpha1.CellList{}); err == nil {
		t.Error("an agent listed all Cells")
	}
}
