package gateway

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/myriad-fleet/myriad/internal/gateway/backend"
	"github.com/myriad-fleet/myriad/internal/gateway/passthrough"
)

// metrics of one gateway.
type metrics struct {
	registry    *prometheus.Registry
	connections *prometheus.CounterVec
	cuts        *prometheus.CounterVec
	retries     prometheus.Counter
}

// newMetrics of a gateway, with a registry of their own.
func newMetrics(gateway *Gateway) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		connections: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "myriad_gateway_connections_total",
			Help: "Connections of clients that have ended, by result.",
		}, []string{"result"}),
		cuts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "myriad_gateway_cut_connections_total",
			Help: "Connections that the gateway reset, by reason.",
		}, []string{"reason"}),
		retries: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "myriad_gateway_retries_total",
			Help: "Times that a back end did not take a connection and the next one was tried.",
		}),
	}
	labels := prometheus.Labels{"region": gateway.options.Region, "instance": strconv.Itoa(gateway.options.Instance)}
	prometheus.WrapRegistererWith(labels, m.registry).MustRegister(
		m.connections, m.cuts, m.retries, backendCollector{gateway: gateway},
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// count a connection.
func (m *metrics) count(result passthrough.Result) {
	m.connections.WithLabelValues(string(result)).Inc()
}

// cut counts connections that were cut.
func (m *metrics) cut(count int, reason backend.CutReason) {
	m.cuts.WithLabelValues(string(reason)).Add(float64(count))
}

var (
	openConnections = prometheus.NewDesc("myriad_gateway_backend_connections",
		"Open connections of clients to a back end.", []string{"id", "zone", "address"}, nil)
	backendVerdict = prometheus.NewDesc("myriad_gateway_backend_verdict",
		"1 for the present verdict on a back end.", []string{"id", "zone", "address", "verdict"}, nil)
)

// backendCollector reads the back ends when it is asked.
type backendCollector struct{ gateway *Gateway }

// Describe implements prometheus.Collector.
func (backendCollector) Describe(descriptions chan<- *prometheus.Desc) {
	descriptions <- openConnections
	descriptions <- backendVerdict
}

// Collect implements prometheus.Collector.
func (c backendCollector) Collect(out chan<- prometheus.Metric) {
	for _, guest := range c.gateway.backends.Status() {
		for _, target := range guest.Backends {
			out <- prometheus.MustNewConstMetric(openConnections, prometheus.GaugeValue,
				float64(target.Connections), guest.ID, target.Zone, target.Address)
			out <- prometheus.MustNewConstMetric(backendVerdict, prometheus.GaugeValue, 1,
				guest.ID, target.Zone, target.Address, string(target.Verdict))
		}
	}
}
