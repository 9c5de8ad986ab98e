// Package capacity plans cells: how much is left, what binds first, when the next cell is needed, and what a
// target fleet takes. It is pure, and places guests by the functions that the hub places them by.
package capacity
