<?php
// As the plugin "Limit Login Attempts" says it, whatever the password is.
add_filter('authenticate', fn() => new WP_Error('too_many_retries', '<strong>ERROR</strong>: Too many failed login attempts. Please try again in 20 minutes.'), 99);
