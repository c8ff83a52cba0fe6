# EM iterations by mclust: reads a problem, prints seconds, peak memory beyond the data, and the parameters.
#
# Rscript mclust.R FILE ITERATIONS; FILE as for armadillo.cpp, in float64.

suppressPackageStartupMessages(library(mclust))
arguments <- commandArgs(trailingOnly = TRUE)
if (arguments[1] == "version") {
  cat(as.character(packageVersion("mclust")), "\n")
  quit()
}
status <- function(key) {
  line <- grep(key, readLines("/proc/self/status"), value = TRUE)
  as.numeric(gsub("[^0-9]", "", line)) / 1024
}
file <- file(arguments[1], "rb")
head <- readBin(file, "integer", 10)[c(1, 3, 5, 7, 9)] # low halves of int64
n <- head[1]; d <- head[2]; k <- head[3]; full <- head[4] == 1
x <- matrix(readBin(file, "double", n * d), n, d, byrow = TRUE)
weights <- readBin(file, "double", k)
means <- matrix(readBin(file, "double", d * k), d, k)
if (full) {
  sigma <- array(readBin(file, "double", d * d * k), c(d, d, k))
  upper <- sigma
  for (j in seq_len(k)) upper[, , j] <- chol(sigma[, , j])
  variance <- list(modelName = "VVV", d = d, G = k, sigma = sigma, cholsigma = upper)
} else {
  diagonal <- matrix(readBin(file, "double", d * k), d, k)
  scale <- exp(colMeans(log(diagonal)))
  variance <- list(modelName = "VVI", d = d, G = k, scale = scale, shape = sweep(diagonal, 2, scale, "/"))
}
iterations <- as.integer(arguments[2])
control <- emControl(tol = c(0, 0), itmax = c(iterations, iterations))
try(writeLines("5", "/proc/self/clear_refs"), silent = TRUE)
before <- status("VmRSS")
began <- as.numeric(Sys.time())
found <- em(x, modelName = variance$modelName, parameters = list(pro = weights, mean = means, variance = variance),
            control = control, warn = FALSE)
cat(as.numeric(Sys.time()) - began, status("VmHWM") - before, "\n")
out <- found$parameters
spread <- if (full) out$variance$sigma else sweep(out$variance$shape, 2, out$variance$scale, "*")
cat(formatC(c(out$pro, out$mean, spread), digits = 17, format = "g"), sep = "\n")
