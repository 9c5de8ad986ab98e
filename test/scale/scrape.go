package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"k8s.io/client-go/kubernetes"

	"github.com/myriad-fleet/myriad/test/scale/plots"
)

// hubMetrics is the address of the hub's controllers for metrics and profiles: in a home's network the one after
// that of kube-controller-manager (internal/local).
func (w *world) hubMetrics() (string, error) {
	server, err := url.Parse(w.config.Host)
	if err != nil {
		return "", fmt.Errorf("the hub's address: %w", err)
	}
	ip := net.ParseIP(server.Hostname()).To4()
	if ip == nil {
		return "", fmt.Errorf("the hub's address %s is no IPv4 address", server.Hostname())
	}
	return fmt.Sprintf("http://%d.%d.%d.5:8080", ip[0], ip[1], ip[2]), nil
}

// scrapeHub reads the metrics of the hub's controllers.
func (w *world) scrapeHub(ctx context.Context) (map[string]*dto.MetricFamily, error) {
	address, err := w.hubMetrics()
	if err != nil {
		return nil, err
	}
	body, err := fetch(ctx, address+"/metrics")
	if err != nil {
		return nil, err
	}
	return parse(string(body))
}

func parse(text string) (map[string]*dto.MetricFamily, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("read metrics: %w", err)
	}
	return families, nil
}

func fetch(ctx context.Context, address string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", address, err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = errors.New(response.Status)
	}
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", address, err)
	}
	return body, nil
}

// idled notes the queues of the hub's controllers that are empty, once it leads, and tells whether each was: then it
// has gone through everything that there was when it began.
func (w *world) idled(ctx context.Context, empty map[string]bool) bool {
	families, err := w.scrapeHub(ctx)
	if err != nil {
		return false
	}
	leads := 0.0
	for _, metric := range families["leader_election_master_status"].GetMetric() {
		leads += metric.GetGauge().GetValue()
	}
	queues := families["workqueue_depth"].GetMetric()
	if leads == 0 || len(queues) == 0 {
		return false
	}
	depth := map[string]float64{}
	for _, metric := range queues {
		for _, pair := range metric.GetLabel() {
			if pair.GetName() == "name" {
				depth[pair.GetValue()] += metric.GetGauge().GetValue() // one for each priority
			}
		}
	}
	for name, waiting := range depth {
		empty[name] = empty[name] || waiting == 0
	}
	return !slices.Contains(slices.Collect(maps.Values(empty)), false)
}

// mutating verbs as the API server's metrics name them.
var mutating = []string{"POST", "PUT", "PATCH", "APPLY", "DELETE"}

// writes that the hub's API server has taken, by resource, those of Leases and those that changed nothing left out.
func (w *world) writes(ctx context.Context) (map[string]float64, error) {
	clients, err := kubernetes.NewForConfig(w.config)
	if err != nil {
		return nil, fmt.Errorf("connect to the hub: %w", err)
	}
	text, err := clients.Discovery().RESTClient().Get().AbsPath("/metrics").DoRaw(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the API server's metrics: %w", err)
	}
	families, err := parse(string(text))
	if err != nil {
		return nil, err
	}
	counts := map[string]float64{}
	for _, metric := range families["apiserver_request_total"].GetMetric() {
		label := map[string]string{}
		for _, pair := range metric.GetLabel() {
			label[pair.GetName()] = pair.GetValue()
		}
		if !slices.Contains(mutating, label["verb"]) || label["resource"] == "leases" || label["dry_run"] != "" || !strings.HasPrefix(label["code"], "2") {
			continue
		}
		name := label["resource"]
		if label["subresource"] != "" {
			name += "/" + label["subresource"]
		}
		counts[name] += metric.GetCounter().GetValue()
	}
	return counts, nil
}

// profile hub and agents for some seconds, and their heaps, into files named by a phase. What fails is told: a
// profile is no reason to end a run.
func (w *world) profile(ctx context.Context, phase string) {
	if w.profiles == "" {
		return
	}
	hub, err := w.hubMetrics()
	if err != nil {
		fmt.Fprintln(os.Stderr, "no profile:", err)
		return
	}
	keep := func(part, kind string, take func() ([]byte, error)) {
		content, err := take()
		if err == nil {
			err = os.MkdirAll(w.profiles, 0o755)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(w.profiles, fmt.Sprintf("%s-%s-%s.pprof", part, phase, kind)), content, 0o644)
		}
		if err != nil && ctx.Err() == nil {
			fmt.Fprintf(os.Stderr, "no profile of %s: %v\n", part, err)
		}
	}
	for kind, path := range map[string]string{"cpu": fmt.Sprintf("debug/pprof/profile?seconds=%d", profileTime), "heap": "debug/pprof/heap"} {
		go keep(plots.PartHub, kind, func() ([]byte, error) {
			err := await(ctx, poll, "the hub answers", func(ctx context.Context) (bool, error) { // it may have just begun
				_, err := fetch(ctx, hub+"/debug/pprof/")
				return err == nil, nil
			})
			if err != nil {
				return nil, err
			}
			return fetch(ctx, hub+"/"+path) // once: another try would be of another hub
		})
		go keep(plots.PartAgents, kind, func() ([]byte, error) { return w.hosts[0].ask(ctx, http.MethodGet, path) })
	}
}

// hubSynced waits until the hub is synced and returns how long that took since a time.
func (w *world) hubSynced(ctx context.Context, since time.Time) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	empty := map[string]bool{}
	err := await(ctx, poll, "the hub leads and has gone through its queues", func(ctx context.Context) (bool, error) { return w.idled(ctx, empty), nil })
	return time.Since(since).Seconds(), err
}
