package plan

import (
	"encoding/json"
	"fmt"
	"strings"
)

// fields of an object in JSON.
type fields = map[string]any

// Render is what an operation sends: the object of a Create, Update or Flood, the merge patch of a
// Patch or Renew. Now, in RFC 3339 with microseconds, is when Leases are taken and renewed. Other actions
// send nothing, or what only an answer of the API server can tell.
func (s Scope) Render(operation Operation, now string) []byte {
	switch operation.Action {
	case Create, Update:
		return encode(s.object(operation, now))
	case Renew:
		return encode(fields{"spec": fields{"renewTime": now}})
	case Flood:
		return encode(s.event(fmt.Sprintf("%s-flood-%d", s.Name(), operation.Object.Index), operation))
	case Patch:
		return encode(fields{"metadata": fields{"annotations": fields{revision: number(operation)}}})
	default:
		return nil
	}
}

// Namespace of the run, and Account that its pods run as: they do not wait for the namespace's own.
func (s Scope) Namespace() (namespace, account []byte) {
	return encode(fields{"metadata": s.metadata(s.Name(), 0)}), encode(fields{"metadata": s.metadata(s.Name(), 0)})
}

// Contested is the object that two controllers fight for, as the given one of them writes it over the
// version that it saw last.
func (s Scope) Contested(operation Operation, resourceVersion string) (path string, body []byte) {
	metadata := s.metadata(s.Name()+"-contested", 0)
	if resourceVersion != "" {
		metadata["resourceVersion"] = resourceVersion
	}
	body = encode(fields{"metadata": metadata, "data": fields{"owner": fmt.Sprint(operation.Object.Index), "write": number(operation)}})
	return s.Collection(Population{Kind: ConfigMaps}) + "/" + s.Name() + "-contested", body
}

// number tells the contents of operations apart.
func number(operation Operation) string {
	return fmt.Sprintf("%d-%d", operation.Phase, operation.Number)
}

func (s Scope) metadata(name string, bytes int) fields {
	metadata := fields{"name": name, "labels": fields{Label: s.Name()}}
	if bytes > 0 {
		metadata["annotations"] = fields{padding: s.content(bytes)}
	}
	return metadata
}

// content of some bytes that compress as little as base64 does.
func (s Scope) content(bytes int) string {
	var text strings.Builder
	for word := s.Seed; text.Len() < bytes; {
		word = word*6364136223846793005 + 1442695040888963407 // Knuth's MMIX generator
		fmt.Fprintf(&text, "%016x", word^word>>32)
	}
	return text.String()[:bytes]
}

func (s Scope) object(operation Operation, now string) fields {
	object, name := operation.Object, s.ObjectName(operation.Object)
	switch object.Kind {
	case Nodes:
		return s.node(name)
	case NodeLeases:
		return fields{
			"metadata": s.metadata(name, 0),
			"spec":     fields{"holderIdentity": name, "leaseDurationSeconds": 40, "acquireTime": now, "renewTime": now},
		}
	case CRDs:
		return s.definition(object.Index, name)
	case CustomResources:
		return fields{
			"apiVersion": s.Group() + "/v1", "kind": fmt.Sprintf("Thing%d", object.CRD),
			"metadata": s.metadata(name, operation.Bytes), "spec": fields{"number": number(operation), "size": operation.Bytes},
		}
	case ConfigMaps:
		return fields{"metadata": s.metadata(name, 0), "data": fields{"number": number(operation), "content": s.content(operation.Bytes)}}
	case Secrets:
		return fields{"metadata": s.metadata(name, 0), "stringData": fields{"number": number(operation), "content": s.content(operation.Bytes)}}
	case Services:
		return fields{
			"metadata": s.metadata(name, operation.Bytes),
			"spec":     fields{"selector": fields{"app": name}, "ports": []any{fields{"port": 80}}},
		}
	case Leases:
		return fields{"metadata": s.metadata(name, operation.Bytes), "spec": fields{"holderIdentity": name, "leaseDurationSeconds": 15}}
	case Events:
		return s.event(name, operation)
	case Deployments:
		return s.deployment(name, operation)
	default:
		return s.pod(name, operation)
	}
}

// node that is fake: Ready, with room for 110 pods, tainted so that only the mix's own pods go there.
func (s Scope) node(name string) fields {
	metadata := s.metadata(name, 0)
	metadata["annotations"] = fields{"kwok.x-k8s.io/node": "fake"}
	metadata["labels"] = fields{Label: s.Name(), "kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}
	room := fields{"cpu": "8", "memory": "32Gi", "pods": "110"}
	return fields{
		"metadata": metadata,
		"spec":     fields{"taints": []any{fields{"key": fake, "effect": "NoSchedule"}}},
		"status": fields{
			"capacity": room, "allocatable": room,
			"conditions": []any{fields{"type": "Ready", "status": "True", "reason": "LoadGenerator", "message": "the load generator says so"}},
		},
	}
}

func (s Scope) definition(index int, name string) fields {
	plural, kind := fmt.Sprintf("things%d", index), fmt.Sprintf("Thing%d", index)
	schema := fields{
		"type": "object",
		"properties": fields{"spec": fields{
			"type":       "object",
			"properties": fields{"number": fields{"type": "string"}, "size": fields{"type": "integer"}},
		}},
	}
	return fields{
		"metadata": s.metadata(name, 0),
		"spec": fields{
			"group": s.Group(), "scope": "Namespaced",
			"names": fields{"plural": plural, "singular": strings.ToLower(kind), "kind": kind, "listKind": kind + "List"},
			"versions": []any{fields{
				"name": "v1", "served": true, "storage": true, "schema": fields{"openAPIV3Schema": schema},
			}},
		},
	}
}

func (s Scope) event(name string, operation Operation) fields {
	return fields{
		"metadata": s.metadata(name, operation.Bytes), "type": "Normal", "reason": "Load", "message": "operation " + number(operation),
		"involvedObject": fields{"kind": "Namespace", "name": s.Name(), "namespace": s.Name(), "apiVersion": "v1"},
		"source":         fields{"component": Label},
	}
}

func (s Scope) deployment(name string, operation Operation) fields {
	labels := fields{"app": name, Label: s.Name()}
	return fields{
		"metadata": s.metadata(name, operation.Bytes),
		"spec": fields{
			"replicas": operation.Replicas, "selector": fields{"matchLabels": labels},
			"template": fields{"metadata": fields{"labels": labels}, "spec": s.podSpec()},
		},
	}
}

// podSpec of pods that go to fake nodes, and at once when they are deleted: no kubelet lets them finish.
func (s Scope) podSpec() fields {
	return fields{
		"containers":                    []any{fields{"name": "app", "image": "load.invalid/app:1"}},
		"serviceAccountName":            s.Name(),
		"automountServiceAccountToken":  false,
		"terminationGracePeriodSeconds": 0,
		"tolerations":                   []any{fields{"key": fake, "operator": "Exists"}},
		"nodeSelector":                  fields{Label: s.Name()},
	}
}

func (s Scope) pod(name string, operation Operation) fields {
	spec := s.podSpec()
	if operation.Object.Kind == NodePods {
		spec["nodeName"] = s.ObjectName(Object{Population{Kind: Nodes}, operation.Node})
	} else {
		spec["nodeSelector"] = fields{fake: "none"} // no node is like that: the scheduler tries, again and again
	}
	return fields{"metadata": s.metadata(name, operation.Bytes), "spec": spec}
}

// encode cannot fail: fields hold nothing that JSON lacks.
func encode(object fields) []byte {
	encoded, err := json.Marshal(object)
	if err != nil {
		panic("an object of the load generator is no JSON: " + err.Error())
	}
	return encoded
}
