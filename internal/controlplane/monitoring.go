package controlplane

// MonitoringGroup is the group, and the name, of the certificate that the agent reads metrics of guests
// with. In a guest it is bound to Kubernetes' own ClusterRole system:monitoring, which reads /metrics, health
// checks and nothing else.
const MonitoringGroup = "myriad:monitoring"
