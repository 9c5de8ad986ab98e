package gatewaytest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/gateway/routing"
)

// Hub that lists and watches the cells of one region and their ControlPlanes, and nothing else.
type Hub struct {
	server *httptest.Server

	mutex   sync.Mutex
	away    bool
	objects map[string]map[string]any // by collection path and name
	events  []event                   // their index + 1 is the resource version
	news    chan struct{}             // closed and replaced with every event
	watches map[string]int            // open ones by collection path
}

// event of a watch.
type event struct {
	Type   string `json:"type"`
	Object any    `json:"object"`

	collection string
}

// NewHub without cells. The test's end stops it.
func NewHub(t *testing.T) *Hub {
	t.Helper()
	hub := &Hub{objects: map[string]map[string]any{}, news: make(chan struct{}), watches: map[string]int{}}
	hub.server = httptest.NewServer(hub)
	t.Cleanup(func() {
		hub.Away(true)
		hub.server.Close()
	})
	return hub
}

// Config of the hub.
func (h *Hub) Config() *rest.Config { return &rest.Config{Host: h.server.URL} }

// Away ends every watch and answers nothing, until it is called again with false.
func (h *Hub) Away(away bool) {
	h.mutex.Lock()
	h.away = away
	h.mutex.Unlock()
	if away {
		h.server.CloseClientConnections()
	}
}

// SetCells of a region.
func (h *Hub) SetCells(region string, cells ...string) {
	data := map[string]string{}
	for _, cell := range cells {
		data[cell] = ""
	}
	meta := metav1.ObjectMeta{Namespace: v1alpha1.RegionNamespace(region), Name: v1alpha1.RegionCellsConfigMap}
	h.put("/api/v1/namespaces/"+meta.Namespace+"/configmaps", meta.Name, func(version string) any {
		meta.ResourceVersion = version
		return &corev1.ConfigMap{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"}, ObjectMeta: meta, Data: data}
	})
}

// SetRoute writes the ControlPlane in a cell that leads to the route.
func (h *Hub) SetRoute(cell string, route routing.Route) { h.setOrder(cell, route, nil) }

// SetTombstone orders the removal of the route's guest.
func (h *Hub) SetTombstone(cell string, route routing.Route) {
	h.setOrder(cell, route, &v1alpha1.Tombstone{ID: route.ID})
}

// setOrder writes a ControlPlane.
func (h *Hub) setOrder(cell string, route routing.Route, tombstone *v1alpha1.Tombstone) {
	order := &v1alpha1.ControlPlane{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "ControlPlane"},
		ObjectMeta: metav1.ObjectMeta{Namespace: v1alpha1.CellNamespace(cell), Name: route.ID},
		Spec: v1alpha1.ControlPlaneSpec{
			ID: route.ID, Epoch: route.Epoch, Tombstone: tombstone,
			Endpoint: v1alpha1.GuestEndpoint{ServerName: route.ServerName, PlainPort: route.PlainPort},
		},
		Status: v1alpha1.ControlPlaneStatus{CABundle: route.CABundle, Escrow: "sealed"},
	}
	for _, backend := range route.Backends {
		order.Status.Endpoints = append(order.Status.Endpoints,
			v1alpha1.Endpoint{Zone: backend.Zone, Address: backend.Address, Port: backend.Port})
	}
	h.put(orders(cell), route.ID, func(version string) any {
		order.ResourceVersion = version
		return order
	})
}

// Forget a ControlPlane as if it had never been, as a restored hub does.
func (h *Hub) Forget(cell, id string) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	object := h.objects[orders(cell)][id]
	delete(h.objects[orders(cell)], id)
	h.announce(event{Type: "DELETED", Object: object, collection: orders(cell)})
}

// Watches that are open on a cell's ControlPlanes.
func (h *Hub) Watches(cell string) int {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	return h.watches[orders(cell)]
}

// count a watch that opens (1) or ends (-1).
func (h *Hub) count(collection string, change int) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	h.watches[collection] += change
}

// orders is the collection of a cell's ControlPlanes.
func orders(cell string) string {
	return "/apis/" + v1alpha1.GroupVersion.String() + "/namespaces/" + v1alpha1.CellNamespace(cell) + "/controlplanes"
}

// put an object that is made with its resource version.
func (h *Hub) put(collection, name string, object func(version string) any) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	made := object(strconv.Itoa(len(h.events) + 1))
	kind := "MODIFIED"
	if h.objects[collection][name] == nil {
		kind = "ADDED"
	}
	if h.objects[collection] == nil {
		h.objects[collection] = map[string]any{}
	}
	h.objects[collection][name] = made
	h.announce(event{Type: kind, Object: made, collection: collection})
}

// announce an event to all watches. The mutex is held.
func (h *Hub) announce(news event) {
	h.events = append(h.events, news)
	close(h.news)
	h.news = make(chan struct{})
}

// ServeHTTP implements http.Handler.
func (h *Hub) ServeHTTP(writer http.ResponseWriter, request *http.Request) {
	query := request.URL.Query()
	h.mutex.Lock()
	away := h.away
	h.mutex.Unlock()
	switch {
	case away:
		http.Error(writer, "away", http.StatusServiceUnavailable)
	case query.Has("sendInitialEvents"):
		http.Error(writer, "list instead", http.StatusBadRequest)
	case query.Has("watch"):
		version, err := strconv.Atoi(query.Get("resourceVersion"))
		if err != nil {
			http.Error(writer, err.Error(), http.StatusBadRequest)
			return
		}
		h.watch(writer, request, version)
	default:
		h.list(writer, request)
	}
}

// list a collection.
func (h *Hub) list(writer http.ResponseWriter, request *http.Request) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	items := []any{}
	for _, object := range h.objects[request.URL.Path] {
		items = append(items, object)
	}
	version, kind := v1alpha1.GroupVersion.String(), "ControlPlaneList"
	if strings.HasSuffix(request.URL.Path, "/configmaps") {
		version, kind = "v1", "ConfigMapList"
	}
	writer.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(writer).Encode(map[string]any{
		"apiVersion": version, "kind": kind, "items": items,
		"metadata": map[string]string{"resourceVersion": fmt.Sprint(len(h.events))},
	})
}

// watch a collection from a version on.
func (h *Hub) watch(writer http.ResponseWriter, request *http.Request, version int) {
	h.count(request.URL.Path, 1)
	defer h.count(request.URL.Path, -1)
	writer.Header().Set("Content-Type", "application/json")
	encoder, controller := json.NewEncoder(writer), http.NewResponseController(writer)
	for {
		h.mutex.Lock()
		pending, news := h.events[version:], h.news
		h.mutex.Unlock()
		version += len(pending)
		for _, next := range pending {
			if next.collection == request.URL.Path && encoder.Encode(next) != nil {
				return
			}
		}
		if controller.Flush() != nil {
			return
		}
		select {
		case <-news:
		case <-request.Context().Done():
			return
		}
	}
}
