/* Median seconds of MPI_Allreduce of so many float32 in place, the same way as the other side measures it. */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

int main(int argc, char **argv) {
  MPI_Init(&argc, &argv);
  int rank, count = atoi(argv[1]), times = atoi(argv[2]);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  float *array = malloc(sizeof(float) * count);
  double *seconds = malloc(sizeof(double) * times);
  for (int i = -1; i < times; i++) {
    for (int j = 0; j < count; j++) array[j] = 1;
    MPI_Barrier(MPI_COMM_WORLD);
    double start = MPI_Wtime();
    MPI_Allreduce(MPI_IN_PLACE, array, count, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
    if (i >= 0) seconds[i] = MPI_Wtime() - start;
  }
  qsort(seconds, times, sizeof(double), ascending);
  if (rank == 0) printf("{\"seconds\": %.6f, \"answer\": %g}\n", seconds[times / 2], array[count - 1]);
  MPI_Finalize();
}
